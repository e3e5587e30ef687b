#include "net/sinks/sqs_message.hpp"

#include "net/sinks/curl_request.hpp"

namespace penstock {

void escape_for_sqs(std::string& json_text) {
  constexpr std::string_view start = "\xef\xbf"; // U+FFC0 to U+FFFF
  for (auto at = json_text.find(start); at != json_text.npos; at = json_text.find(start, at + 3)) {
    const auto last = at + 2 < json_text.size() ? json_text[at + 2] : '\0';
    if (last == '\xbe') json_text.replace(at, 3, "\\ufffe");
    if (last == '\xbf') json_text.replace(at, 3, "\\uffff");
  }
}

std::string region_of_queue(std::string_view queue_url) {
  auto host = http_origin(queue_url);
  host.erase(0, host.find("://") + 3);
  for (const std::string_view service : {"sqs.", "sqs-fips."}) {
    if (!host.starts_with(service)) continue;
    const auto rest = std::string_view{host}.substr(service.size());
    const auto dot = rest.find('.');
    if (dot == rest.npos) return {};
    const auto suffix = rest.substr(dot);
    const bool aws =
        suffix == ".amazonaws.com" || suffix == ".amazonaws.com.cn" || suffix == ".api.aws";
    return aws ? std::string{rest.substr(0, dot)} : std::string{};
  }
  return {};
}

bool is_fifo_queue(std::string_view queue_url) {
  return queue_url.ends_with(".fifo");
}

} // namespace penstock
