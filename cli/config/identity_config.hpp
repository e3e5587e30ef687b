// Reading identity.order: ["bearer", "header:X-Client", "cookie:sid", "ip"].
#pragma once

#include "cli/config/readers.hpp"
#include "net/clients/identity_settings.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// "header:X-Client" as a rule, the header's name in lower case; nothing when it is none.
std::optional<identity_rule> parse_identity_rule(std::string_view text);
std::string format_identity_rule(const identity_rule& rule);

/// A list of rules that ends with "ip", which matches every request.
reader read_identity_order(std::vector<identity_rule>& field);

} // namespace penstock
