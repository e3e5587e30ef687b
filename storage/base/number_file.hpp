// A file with one number that only grows, overwritten in place, so that it needs no room on the
// disk.
#pragma once

#include "storage/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>

namespace penstock {

/// Numbers below have a checksum: 16 digits, four letters, a line end. Earlier versions read the
/// digits and write 20 digits and a line end, in as many bytes, so that both write in place. That
/// form is read too, and written for larger numbers, which no node reaches by counting.
inline constexpr std::uint64_t numbers_with_checksum = 10'000'000'000'000'000;

struct stored_number {
  std::uint64_t value = 0;
  bool has_checksum = false; ///< and it is right
};

/// Nothing where the file is damaged. Errors: not_found, io.
result<std::optional<stored_number>> read_number(const std::filesystem::path& file);

/// Durable, and all or nothing.
result<void> write_number(const std::filesystem::path& file, std::uint64_t value);

} // namespace penstock
