#include "cli/views/drain_view.hpp"

#include "cli/client/json_fields.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace penstock {
namespace {

namespace json = boost::json;

void add_words(drain_report& to, std::uint64_t count, std::string_view what) {
  if (count == 0) return;
  to.to_do += count;
  to.what_to_do += fmt::format("{}{} {}", to.what_to_do.empty() ? "" : ", ", count, what);
}

} // namespace

result<drain_report> drain_report_of(const json::object& answer) {
  try {
    drain_report out;
    out.stage = text_of(answer, "stage");
    const auto& seconds = answer.at("seconds_left");
    if (!seconds.is_null()) out.seconds_left = seconds.to_number<double>();
    const auto number = [&](std::string_view name) {
      return answer.at(name).to_number<std::uint64_t>();
    };
    add_words(out, number("connections"), "connections");
    add_words(out, number("shards"), "shards");
    for (const auto& entry : answer.at("sinks").as_array()) {
      const auto& sink = entry.as_object();
      if (!sink.at("given_up").as_bool())
        add_words(out, sink.at("events").to_number<std::uint64_t>(),
                  "events for " + text_of(sink, "sink"));
    }
    out.queued = number("queue_events");
    for (const auto& entry : answer.at("left").as_array())
      out.left.emplace_back(entry.as_string());
    return out;
  } catch (const std::exception&) {
    return error{errc::unavailable, "the admin plane's answer tells of no drain; is this the "
                                    "address of a penstock node?"};
  }
}

std::string drain_line(const drain_report& now) {
  auto out = now.stage;
  std::ranges::replace(out, '_', ' ');
  if (!now.what_to_do.empty()) out += ": " + now.what_to_do;
  if (now.seconds_left > 0) out += fmt::format(", {:.0f} s left", now.seconds_left);
  return out;
}

std::string drain_summary(const drain_report& end) {
  std::string out = end.left.empty() ? "drained\n" : "drained, but for this:\n";
  for (const auto& what : end.left)
    out += "  " + what + '\n';
  if (end.queued > 0)
    out += fmt::format(
        "{} events of the embedded queue stay in the node's directory for consumers\n", end.queued);
  return out;
}

} // namespace penstock
