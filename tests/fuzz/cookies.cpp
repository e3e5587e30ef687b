// The cookie that names a client. Its value is the one that was sent under its name, and is never
// found within another cookie.
#include "net/clients/identity.hpp"
#include "net/clients/identity_settings.hpp"
#include "tests/fuzz/target.hpp"

#include <string>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

const std::string cookie_name = "sid";

// RFC 6265, section 4.2.1, a character at a time: the first pair of that name.
std::string expected_value(std::string_view cookies) {
  std::string name, value;
  bool in_value = false;
  for (std::size_t i = 0; i <= cookies.size(); ++i) {
    if (i == cookies.size() || cookies[i] == ';') {
      // White space within a pair, around '=', is part of neither; it names another cookie.
      name.erase(0, name.find_first_not_of(" \t"));
      value.erase(value.find_last_not_of(" \t") + 1);
      if (in_value && name == cookie_name) return value;
      name.clear();
      value.clear();
      in_value = false;
    } else if (!in_value && cookies[i] == '=') {
      in_value = true;
    } else {
      (in_value ? value : name) += cookies[i];
    }
  }
  return {};
}

} // namespace

PENSTOCK_FUZZ_TARGET(cookies)(std::string_view input) {
  static const identifier who{
      {{{identity_source::cookie, cookie_name}, {identity_source::ip, ""}}, 32, 64}, {}, "secret"};
  static const ip_address peer = *parse_ip("192.0.2.1");
  static const auto anonymous = who.client_of(peer);
  request_head head;
  head.fields[static_cast<std::size_t>(request_field::cookie)] = input;
  head.present = 1u << static_cast<unsigned>(request_field::cookie);
  const auto found = who.identify(head, peer, false, anonymous);
  const auto value = expected_value(input);
  if (value.empty())
    expect(found.client == anonymous && found.by_address, "who sends no such cookie is anonymous");
  else
    expect(found.client == who.clients_named(value).at(0), "the client is the cookie's value");
}
