// A hash of names that needs no secret.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace penstock {

inline std::uint64_t fake_hash(std::string_view kind, std::string_view name) {
  return std::hash<std::string>{}(std::string{kind} + '\0' + std::string{name});
}

} // namespace penstock
