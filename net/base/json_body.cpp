#include "net/base/json_body.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace penstock {

result<boost::json::object> json_object_of(std::string_view body, std::string_view example) {
  boost::system::error_code failed;
  auto document = boost::json::parse({body.data(), body.size()}, failed);
  const auto wanted = "; send an object like " + std::string{example};
  if (failed) return invalid("the body is not JSON (" + failed.message() + ")" + wanted);
  if (!document.is_object()) return invalid("the body is not an object" + wanted);
  return std::move(document.get_object());
}

} // namespace penstock
