// How errors quote what they were given, and what names may look like.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// The text with control characters, and those that turn the direction of text, as \xNN: what a
/// stranger wrote must not steer a terminal.
std::string printable(std::string_view text);
/// In quotes, at most 60 characters, control characters escaped, API keys cut short.
std::string quote(std::string_view text);

/// Letters, digits, '_', '-' and '.', at most 64, beginning with a letter or digit.
bool is_name(std::string_view text);
inline constexpr std::string_view name_rule =
    "a name of letters, digits, '_', '-' and '.' (at most 64, the first a letter or digit)";

/// Accounts are named by other systems: e-mail addresses and URNs are names too.
bool is_account_name(std::string_view text);
inline constexpr std::string_view account_name_rule =
    "1 to 128 of letters, digits and . _ - @ : + (the first a letter or digit)";

template <class T>
using choices = std::vector<std::pair<std::string, T>>;

/// '"a", "b" or "c"'.
std::string choice_type(const std::vector<std::string>& names);
/// The error's words for a text that is not among the names, or is but not in this version.
std::string wrong_choice(const std::string& text, const std::vector<std::string>& names,
                         const std::vector<std::string>& absent);

} // namespace penstock
