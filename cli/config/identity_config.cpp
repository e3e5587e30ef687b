#include "cli/config/identity_config.hpp"

#include "net/http/request.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>

namespace penstock {
namespace {

constexpr std::size_t max_rules = 16;

struct source_name {
  std::string_view name;
  identity_source source;
  bool takes_name;
};

constexpr std::array source_names{
    source_name{"bearer", identity_source::bearer, false},
    source_name{"x-api-key", identity_source::x_api_key, false},
    source_name{"query", identity_source::query, false},
    source_name{"header", identity_source::header, true},
    source_name{"cookie", identity_source::cookie, true},
    source_name{"path", identity_source::path, true},
    source_name{"referer", identity_source::referer, false},
    source_name{"ip", identity_source::ip, false},
};

// RFC 9110's token, which both header and cookie names are.
bool is_token(std::string_view text) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  constexpr std::size_t max_token = 64;
  return !text.empty() && text.size() <= max_token &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) || marks.find(c) != marks.npos;
         });
}

bool is_path(std::string_view text) {
  constexpr std::size_t max_path = 256;
  return text.starts_with('/') && text.size() <= max_path &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != '?'; });
}

} // namespace

std::optional<identity_rule> parse_identity_rule(std::string_view text) {
  const auto colon = text.find(':');
  const bool named = colon != std::string_view::npos;
  for (const auto& known : source_names) {
    if (known.name != text.substr(0, colon) || known.takes_name != named) continue;
    if (!named) return identity_rule{known.source, ""};
    std::string name{text.substr(colon + 1)};
    if (known.source == identity_source::path ? !is_path(name) : !is_token(name))
      return std::nullopt;
    if (known.source == identity_source::header)
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return identity_rule{known.source, std::move(name)};
  }
  return std::nullopt;
}

std::string format_identity_rule(const identity_rule& rule) {
  for (const auto& known : source_names)
    if (known.source == rule.source)
      return std::string{known.name} + (known.takes_name ? ":" + rule.name : "");
  return {};
}

reader read_identity_order(std::vector<identity_rule>& field) {
  auto texts = std::make_shared<std::vector<std::string>>();
  auto list =
      read_list(*texts,
                "a list of \"bearer\", \"x-api-key\", \"query\", \"header:NAME\", "
                "\"cookie:NAME\", \"path:/PREFIX\", \"referer\", and \"ip\" as the last",
                max_rules, [](const std::string& text) {
                  return parse_identity_rule(text) ? "" : quote(text) + " is not among them";
                });
  auto set = [&field, texts, list](const toml::node& value, const reporter& report) {
    texts->clear();
    list.set(value, report);
    const auto* array = value.as_array();
    if (!array || texts->size() != array->size()) return; // told already
    const auto ip = std::find(texts->begin(), texts->end(), "ip");
    if (ip == texts->end())
      return report.plain(value,
                          "add \"ip\" at the end: it is for clients that nothing else names");
    if (ip + 1 != texts->end())
      return report.plain(value, "move \"ip\" to the end: it matches every request, so nothing "
                                 "after it is ever looked at");
    const auto headers = std::count_if(
        texts->begin(), texts->end(), [](const auto& text) { return text.starts_with("header:"); });
    if (headers > static_cast<std::ptrdiff_t>(max_custom_fields))
      return report.plain(value, "name at most " + std::to_string(max_custom_fields) +
                                     " headers; each is looked for in every request");
    field.clear();
    for (const auto& text : *texts)
      field.push_back(*parse_identity_rule(text));
  };
  return {list.kind, list.type, std::move(set)};
}

} // namespace penstock
