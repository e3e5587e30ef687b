#include "cli/config/summary.hpp"

#include "actors/base/units.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/limits/algorithms/algorithms.hpp"
#include "actors/limits/limit_text.hpp"
#include "actors/streams/stream_settings.hpp"
#include "cli/config/config_warnings.hpp"
#include "cli/config/identity_config.hpp"
#include "cli/config/limits_config.hpp"
#include "cli/config/node_memory.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace penstock {
namespace {

namespace json = boost::json;

std::string_view name_of(ack_level level) {
  switch (level) {
  case ack_level::received:
    return "received";
  case ack_level::journaled:
    return "journaled";
  case ack_level::replicated:
    return "replicated";
  case ack_level::published:
    return "published";
  }
  return "";
}

std::string_view name_of(directory_kind kind) {
  switch (kind) {
  case directory_kind::none:
    return "none";
  case directory_kind::static_peers:
    return "static";
  case directory_kind::nats:
    return "nats";
  }
  return "";
}

std::string_view name_of(unreachable_policy policy) {
  return policy == unreachable_policy::local ? "local" : "refuse";
}

std::string name_of(algorithm kind) {
  return std::string{algorithm_of(kind).name};
}

std::string amount_of(const limit& rule, std::uint32_t units) {
  return rule.cost == limit_cost::byte ? format_size(units) : std::to_string(units);
}

} // namespace

std::string describe_limits(const std::vector<limit>& limits) {
  if (limits.empty()) return "no limits";
  std::vector<std::string> texts;
  for (const auto& rule : limits) {
    auto text =
        fmt::format("{} {} per {}", rule.name, amount_of(rule, rule.amount), window_text(rule));
    if (rule.burst > 0) text += fmt::format(", burst {}", amount_of(rule, rule.burst));
    if (rule.scope == limit_scope::key) text += " for each key";
    if (rule.scope == limit_scope::stream) text += " in each stream";
    if (!rule.methods.empty()) text += fmt::format(", {}", fmt::join(rule.methods, " "));
    if (!rule.paths.empty()) text += fmt::format(", {}", fmt::join(rule.paths, " "));
    if (rule.shadow) text += ", in shadow";
    texts.push_back(fmt::format("{} ({})", text, name_of(rule.kind)));
  }
  return fmt::format("{}", fmt::join(texts, "; "));
}

namespace {

std::string describe(const cluster_settings& cluster) {
  if (cluster.directory == directory_kind::none) return "none, this node is on its own";
  const auto others = cluster.directory == directory_kind::nats
                          ? std::string{"those in NATS"}
                          : fmt::format("{}", fmt::join(cluster.peers, ", "));
  return fmt::format("{}: {} with {}, {} (owner unreachable: {})", cluster.name, cluster.listen,
                     others, cluster.tls_cert.empty() ? "plain TCP" : "TLS",
                     name_of(cluster.on_owner_unreachable));
}

template <class Items>
json::array texts(const Items& items) {
  json::array array;
  for (const auto& item : items)
    array.emplace_back(item);
  return array;
}

std::vector<std::string> identity_order(const config& c) {
  std::vector<std::string> order;
  for (const auto& rule : c.identity.order)
    order.push_back(format_identity_rule(rule));
  return order;
}

json::array limits_json(const plan& rules) {
  json::array limits;
  for (const auto& rule : rules.limits) {
    json::object one{{"name", rule.name},
                     {"algorithm", name_of(rule.kind)},
                     {"amount", rule.amount},
                     {"window", window_text(rule)},
                     {"burst", rule.burst}};
    if (rule.scope != limit_scope::account)
      one["scope"] = rule.scope == limit_scope::key ? "key" : "stream";
    if (rule.cost == limit_cost::byte) one["cost"] = "byte";
    if (rule.shadow) one["shadow"] = true;
    if (!rule.paths.empty()) one["paths"] = texts(rule.paths);
    if (!rule.methods.empty()) one["methods"] = texts(rule.methods);
    limits.push_back(std::move(one));
  }
  return limits;
}

} // namespace

std::string summary_text(const config& c) {
  std::string text = fmt::format("node      {}, data in {}\n", c.node_name, c.data_dir);
  const auto threads = c.http.threads == 0 ? std::string{"one thread a core"}
                                           : fmt::format("{} threads", c.http.threads);
  text += fmt::format("events    http://{} ({}, bodies up to {})\n", c.http.listen, threads,
                      format_size(c.http.max_body_bytes));
  text += fmt::format("admin     http://{} ({})\n", c.admin.listen,
                      c.admin.token.empty() ? "no token" : "with a token");
  text += fmt::format("cluster   {}\n", describe(c.cluster));
  text += fmt::format("clients   {}{}\n", fmt::join(identity_order(c), ", then "),
                      c.identity.refuse_anonymous ? "; without an API key they are refused" : "");
  for (const auto& [name, rules] : c.plans)
    text += fmt::format("plan      {}: {}\n", name, describe_limits(rules.limits));
  for (const auto& [name, stream] : c.streams)
    text += fmt::format("stream    {}: ack {}, to {}{}\n", name, name_of(stream.ack),
                        fmt::join(stream.sinks, ", "), stream.expendable ? ", expendable" : "");
  for (const auto& [name, sink] : c.sinks)
    text += fmt::format("sink      {}: {}\n", name, sink.kind);
  text +=
      fmt::format("journal   up to {} in segments of {}, kept {} after delivery\n",
                  format_size(c.journal.max_size_bytes), format_size(c.journal.segment_size_bytes),
                  format_duration(c.journal.retention_ms));
  text += fmt::format("log       {}, {}\n", c.log.level, c.log.format);
  return text;
}

std::string summary_json(const config& c, const std::string& memory_source,
                         const std::vector<std::string>& more_warnings) {
  auto warnings = warnings_of(c);
  warnings.insert(warnings.end(), more_warnings.begin(), more_warnings.end());
  json::object memory;
  for (const auto& [key, value] : memory_bounds(c))
    memory[key] = value;
  json::object planned{{"limit_bytes", c.memory.total_bytes},
                       {"source", memory_source},
                       {"sum_bytes", c.memory.sum_bytes()},
                       {"head_room_bytes", c.memory.head_room_bytes},
                       {"fits", c.memory.fits()},
                       {"bounds", std::move(memory)}};
  json::object plans, streams, sinks;
  for (const auto& [name, sink] : c.sinks)
    sinks[name] = json::object{{"kind", sink.kind}};
  for (const auto& [name, rules] : c.plans)
    plans[name] = json::object{{"limits", limits_json(rules)}};
  for (const auto& [name, stream] : c.streams)
    streams[name] = json::object{{"ack", name_of(stream.ack)},
                                 {"sinks", texts(stream.sinks)},
                                 {"expendable", stream.expendable},
                                 {"max_body_bytes", stream.max_body_bytes}};
  return json::serialize(
      json::object{{"ok", true},
                   {"node", {{"name", c.node_name}, {"data_dir", c.data_dir}}},
                   {"memory", std::move(planned)},
                   {"http", {{"listen", c.http.listen}, {"threads", c.http.threads}}},
                   {"admin", {{"listen", c.admin.listen}, {"token", !c.admin.token.empty()}}},
                   {"identity", {{"order", texts(identity_order(c))}}},
                   {"plans", std::move(plans)},
                   {"streams", std::move(streams)},
                   {"sinks", std::move(sinks)},
                   {"journal",
                    {{"max_size_bytes", c.journal.max_size_bytes},
                     {"segment_size_bytes", c.journal.segment_size_bytes}}},
                   {"cluster",
                    {{"name", c.cluster.name},
                     {"directory", name_of(c.cluster.directory)},
                     {"listen", c.cluster.listen},
                     {"peers", texts(c.cluster.peers)}}},
                   {"log", {{"level", c.log.level}, {"format", c.log.format}}},
                   {"warnings", texts(warnings)}});
}

} // namespace penstock
