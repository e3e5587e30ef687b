// Bodies of requests to the admin plane.
#pragma once

#include "storage/base/result.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

namespace penstock {

/// errc::invalid, with what is wrong and what to write instead.
inline error invalid(std::string why) {
  return {errc::invalid, std::move(why)};
}

/// The members of a body that must be a JSON object; `example` shows one to who sent something
/// else. Errors: errc::invalid.
result<boost::json::object> json_object_of(std::string_view body, std::string_view example);

} // namespace penstock
