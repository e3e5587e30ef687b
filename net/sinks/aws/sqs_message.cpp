#include "net/sinks/aws/sqs_message.hpp"

#include "net/sinks/http/curl_request.hpp"

#include <algorithm>

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

std::string queue_name_fault(std::string_view queue_url, bool is_fifo) {
  constexpr std::size_t max_queue_name = 80;
  constexpr std::string_view fifo = ".fifo";
  auto name = queue_url.substr(queue_url.rfind('/') + 1); // npos + 1 is 0
  const auto quoted = "'" + std::string{name} + "' can't be the name of a queue: ";
  if (name.size() > max_queue_name) return quoted + "it is longer than 80 characters";
  if (name.ends_with(fifo) != is_fifo)
    return quoted + "FIFO queues alone end in .fifo, and this sink's are " +
           (is_fifo ? "such" : "none");
  if (is_fifo) name.remove_suffix(fifo.size());
  const bool fits = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  return fits ? "" : quoted + "SQS takes a-z, A-Z, 0-9, '-' and '_'";
}

bool is_fifo_queue(std::string_view queue_url) {
  return queue_url.ends_with(".fifo");
}

} // namespace penstock
