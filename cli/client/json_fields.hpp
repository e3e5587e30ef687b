// Reading a server's answers.
#pragma once

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

namespace penstock {

/// The text of a field; "" when it is missing or no text.
inline std::string text_of(const boost::json::object& from, std::string_view field) {
  const auto* value = from.if_contains(field);
  return value && value->is_string() ? std::string{value->get_string()} : std::string{};
}

} // namespace penstock
