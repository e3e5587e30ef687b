#include "cli/views/status_view.hpp"

#include "cli/base/readable.hpp"
#include "cli/base/table.hpp"
#include "cli/client/json_fields.hpp"
#include "cli/views/cluster_view.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <stdexcept>
#include <vector>

namespace penstock {
namespace {

namespace json = boost::json;
using table_rows = std::vector<std::vector<std::string>>;

constexpr std::size_t max_error_columns = 120;

// Readers of a document whose shape was promised; what is missing throws, see status_text.
std::uint64_t count_at(const json::object& from, std::string_view name) {
  return from.at(name).to_number<std::uint64_t>();
}
double seconds_at(const json::object& from, std::string_view name) {
  return from.at(name).to_number<double>();
}

std::string state_of(const json::object& status) {
  std::string out = status.at("draining").as_bool() ? "draining"
                    : status.at("ready").as_bool()  ? "ready"
                                                    : "not ready";
  const auto& journal = status.at("journal").as_object();
  const auto* scarce = journal.if_contains("scarce"); // not told by earlier versions
  if (journal.at("full").as_bool())
    out += ", journal full";
  else if (scarce && scarce->as_bool())
    out += ", journal scarce";
  return out;
}

// Empty where every stream is taken, and for a node of an earlier version.
std::string refused_of(const json::object& journal) {
  std::string out;
  if (const auto* names = journal.if_contains("refused_streams"))
    for (const auto& name : names->as_array())
      out += (out.empty() ? "" : ", ") + std::string{name.as_string()};
  if (const auto* full = journal.if_contains("unconfigured_full"); full && full->as_bool())
    out += std::string{out.empty() ? "" : ", "} + "all that are not configured";
  return out;
}

// What streams that nobody configured hold together; empty for a node of an earlier version.
std::string unconfigured_of(const json::object& journal) {
  if (!journal.contains("unconfigured_max_bytes")) return {};
  return fmt::format("{} of {}", size_text(count_at(journal, "unconfigured_bytes")),
                     size_text(count_at(journal, "unconfigured_max_bytes")));
}

std::string journal_of(const json::object& status) {
  const auto& journal = status.at("journal").as_object();
  const auto bytes = count_at(journal, "bytes");
  const auto* cap = journal.if_contains("max_bytes");
  const auto most = cap ? cap->to_number<std::uint64_t>() : 0;
  auto out = size_text(bytes);
  if (most > 0)
    out += fmt::format(" of {} ({:.0f}%)", size_text(most),
                       100.0 * static_cast<double>(bytes) / static_cast<double>(most));
  return out + fmt::format(", {} events since the start", count_at(journal, "events"));
}

// Empty for a node of an earlier version.
std::string memory_of(const json::object& status) {
  const auto* found = status.if_contains("memory");
  if (!found || !found->is_object()) return {};
  const auto& memory = found->as_object();
  return fmt::format("{} of {} ({})",
                     size_text(count_at(status.at("process").as_object(), "resident_bytes")),
                     size_text(count_at(memory, "limit_bytes")), text_of(memory, "source"));
}

// Empty for a node that neither has its events held nor holds others'.
std::string replication_of(const json::object& status) {
  const auto* found = status.if_contains("replication");
  if (!found || !found->is_object()) return {};
  const auto& of = found->as_object();
  const auto* has_holder = of.if_contains("has_holder");
  std::string out;
  if (has_holder && has_holder->is_bool() && has_holder->get_bool())
    out = fmt::format("held by another node, {} on the way",
                      size_text(count_at(of, "waiting_bytes")));
  if (const auto nodes = count_at(of, "holds_nodes"); nodes > 0)
    out += fmt::format("{}holds events of {} other{}, {}", out.empty() ? "" : "; ", nodes,
                       nodes == 1 ? "" : "s", size_text(count_at(of, "holds_bytes")));
  if (const auto single = count_at(of, "single_events"); single > 0)
    out += fmt::format("{}up to {} event{} on one node only", out.empty() ? "" : "; ", single,
                       single == 1 ? "" : "s");
  return out;
}

std::string head_of(const json::object& status) {
  const auto& http = status.at("http").as_object();
  table_rows rows{
      {"node", text_of(status, "node")},
      {"state", state_of(status)},
      {"uptime", age_text(seconds_at(status, "uptime_s"))},
      {"version", text_of(status, "version")},
      {"requests", fmt::format("{}: {} accepted, {} over their limit, {} turned away",
                               count_at(http, "requests"), count_at(http, "accepted"),
                               count_at(http, "refused"), count_at(http, "shed"))},
      {"connections", std::to_string(count_at(http, "connections"))},
      {"journal", journal_of(status)},
      {"peers up", std::to_string(count_at(status.at("cluster").as_object(), "peers_up"))},
  };
  const auto& journal = status.at("journal").as_object();
  if (auto held = unconfigured_of(journal); !held.empty())
    rows.push_back({"unconfigured streams", std::move(held)});
  if (auto refused = refused_of(journal); !refused.empty())
    rows.push_back({"refused with 507", std::move(refused)});
  if (auto memory = memory_of(status); !memory.empty())
    rows.push_back({"memory", std::move(memory)});
  if (auto replication = replication_of(status); !replication.empty())
    rows.push_back({"replicated", std::move(replication)});
  if (const auto* letters = status.if_contains("dead_letters"); letters && letters->is_number())
    rows.push_back({"dead letters", std::to_string(letters->to_number<std::uint64_t>())});
  return table_text(rows);
}

std::string rates_of(const status_sample& before, const status_sample& now) {
  const auto seconds = now.taken_s - before.taken_s;
  // A node that was started again counts from 0.
  if (seconds <= 0 || now.requests < before.requests || now.events < before.events) return {};
  const auto rate = [&](std::uint64_t from, std::uint64_t to) {
    return static_cast<double>(to - from) / seconds;
  };
  return fmt::format("rates  {:.0f} requests/s, {:.0f} events/s durable\n",
                     rate(before.requests, now.requests), rate(before.events, now.events));
}

std::string queues_of(const json::array& queues) {
  if (queues.empty()) return {};
  table_rows rows{{"QUEUE OF STREAM", "WAITING", "IN FLIGHT", "SIZE", "OLDEST"}};
  for (const auto& entry : queues) {
    const auto& queue = entry.as_object();
    const auto depth = count_at(queue, "depth");
    rows.push_back({text_of(queue, "stream"), std::to_string(depth),
                    std::to_string(count_at(queue, "in_flight")),
                    queue.contains("bytes") ? size_text(count_at(queue, "bytes")) : "-",
                    depth > 0 ? age_text(seconds_at(queue, "oldest_age_s")) : "-"});
  }
  return '\n' + table_text(rows);
}

std::string short_error(std::string text) {
  if (text.size() <= max_error_columns) return text;
  auto end = max_error_columns;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end; // not within a character
  return text.substr(0, end) + "...";
}

std::string last_error_of(const json::object& sink) {
  const auto text = short_error(text_of(sink, "last_error"));
  if (text.empty()) return {};
  return age_text(seconds_at(sink, "last_error_age_s")) + " ago: " + text;
}

std::string sinks_of(const json::array& sinks) {
  if (sinks.empty()) return {};
  table_rows rows{{"SINK", "KIND", "STATE", "STREAM", "LAG", "SIZE", "OLDEST", "LAST ERROR"}};
  for (const auto& entry : sinks) {
    const auto& sink = entry.as_object();
    std::vector<std::string> first{text_of(sink, "sink"), text_of(sink, "kind"),
                                   text_of(sink, "state")};
    auto why = last_error_of(sink);
    const auto& streams = sink.at("streams").as_array();
    if (streams.empty()) {
      first.insert(first.end(), {"-", "-", "-", "-", why});
      rows.push_back(std::move(first));
      continue;
    }
    for (const auto& of : streams) {
      const auto& stream = of.as_object();
      const auto lag = count_at(stream, "lag_events");
      auto row = first;
      // A stream that waits alone says so; a node of an earlier version has no such state.
      const auto* state = stream.if_contains("state");
      const bool held = state && *state != "ok";
      if (held) row.back() = text_of(stream, "state");
      const auto its_error = held ? short_error(text_of(stream, "error")) : std::string{};
      row.insert(row.end(),
                 {text_of(stream, "stream"), std::to_string(lag),
                  size_text(count_at(stream, "lag_bytes")),
                  lag > 0 ? age_text(seconds_at(stream, "lag_s")) : "-", held ? its_error : why});
      rows.push_back(std::move(row));
      if (!held) why.clear(); // once a sink is enough
    }
  }
  return '\n' + table_text(rows);
}

// Empty for a node without extensions.
std::string actors_of(const json::object& status) {
  const auto* actors = status.if_contains("actors");
  if (!actors) return {};
  table_rows rows{{"ACTOR", "FIGURE", "VALUE"}};
  for (const auto& [actor, figures] : actors->as_object())
    for (const auto& [figure, value] : figures.as_object()) {
      if (!value.is_object()) {
        rows.push_back({std::string{actor}, std::string{figure}, json::serialize(value)});
        continue;
      }
      for (const auto& [label, count] : value.get_object())
        rows.push_back({std::string{actor},
                        fmt::format("{} of {}", std::string_view{figure}, std::string_view{label}),
                        json::serialize(count)});
    }
  return '\n' + table_text(rows);
}

const error not_a_status{errc::unavailable, "the admin plane's answer is no status of a node"};

} // namespace

result<status_sample> sample_of(const json::object& status, double taken_s) {
  try {
    return status_sample{taken_s, count_at(status.at("http").as_object(), "requests"),
                         count_at(status.at("journal").as_object(), "events")};
  } catch (const std::exception&) {
    return not_a_status;
  }
}

result<std::string> status_text(const json::object& status,
                                const std::optional<status_sample>& before,
                                const std::optional<status_sample>& now) {
  try {
    auto out = head_of(status);
    if (before && now) out += rates_of(*before, *now);
    out += cluster_text(status.at("cluster").as_object());
    out += queues_of(status.at("queues").as_array());
    // A node of an earlier version has none.
    if (const auto* sinks = status.if_contains("sinks")) out += sinks_of(sinks->as_array());
    out += actors_of(status);
    return out;
  } catch (const std::exception&) {
    return not_a_status;
  }
}

} // namespace penstock
