// What `penstock adopt` says in the end.
#include "cli/base/readable.hpp"
#include "cli/base/table.hpp"
#include "cli/node/adopt.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace penstock {

namespace {

namespace json = boost::json;

std::uint64_t left_over(const adopt_report& report, bool with_queue) {
  std::uint64_t sum = 0;
  for (const auto& one : report.streams)
    if (with_queue || one.kind != "embedded") sum += one.left;
  return sum;
}

} // namespace

bool adopt_report::is_done() const {
  return !interrupted && stalled.empty() && refused == 0 && left_over(*this, !without_queue) == 0;
}

std::string adopt_text(const adopt_report& report) {
  auto out = fmt::format("{}: journal of node {}, ids end in -{}\n", report.directory, report.node,
                         report.tag);
  if (report.streams.empty()) {
    out += "nothing is owed\n";
  } else {
    std::vector<std::vector<std::string>> rows{{"SINK", "KIND", "STREAM", "OWED", "SIZE"}};
    if (!report.dry_run) rows.front().insert(rows.front().end(), {"SETTLED", "LEFT"});
    for (const auto& one : report.streams) {
      auto& row = rows.emplace_back(std::vector<std::string>{one.sink, one.kind, one.stream,
                                                             std::to_string(one.backlog.events),
                                                             size_text(one.backlog.bytes)});
      if (report.dry_run) continue;
      row.push_back(std::to_string(one.backlog.events - std::min(one.backlog.events, one.left)));
      row.push_back(std::to_string(one.left));
    }
    out += table_text(rows);
  }
  for (const auto& [sink, why] : report.stalled)
    out += fmt::format("sink {} takes nothing{}\n", sink, why.empty() ? "" : ": " + why);
  if (report.refused > 0)
    out += fmt::format("{} events were refused and are dead letters now\n", report.refused);
  if (const auto letters = report.dead_letters + report.refused; letters > 0)
    out += fmt::format("{} dead letters stay in {}: start a node on it to list or retry them\n",
                       letters, report.directory);
  if (report.interrupted) out += "interrupted\n";
  if (!report.dry_run && left_over(report, !report.without_queue) > 0)
    out += "run it again to go on where it stopped\n";
  return out;
}

std::string adopt_json(const adopt_report& report) {
  json::array streams, stalled, damaged;
  for (const auto& one : report.streams)
    streams.push_back(json::object{{"sink", one.sink},
                                   {"kind", one.kind},
                                   {"stream", one.stream},
                                   {"owed", one.backlog.events},
                                   {"owed_bytes", one.backlog.bytes},
                                   {"left", one.left}});
  for (const auto& [sink, why] : report.stalled)
    stalled.push_back(json::object{{"sink", sink}, {"error", why}});
  for (const auto& sentence : report.damaged)
    damaged.emplace_back(sentence);
  return json::serialize(json::object{{"directory", report.directory},
                                      {"node", report.node},
                                      {"tag", report.tag},
                                      {"dry_run", report.dry_run},
                                      {"interrupted", report.interrupted},
                                      {"streams", std::move(streams)},
                                      {"left", left_over(report, true)},
                                      {"stalled", std::move(stalled)},
                                      {"refused", report.refused},
                                      {"dead_letters", report.dead_letters + report.refused},
                                      {"damaged", std::move(damaged)}});
}

} // namespace penstock
