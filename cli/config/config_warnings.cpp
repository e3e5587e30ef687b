#include "cli/config/config_warnings.hpp"

#include "actors/base/ip_network.hpp"
#include "actors/base/units.hpp"
#include "cli/config/address.hpp"
#include "cli/config/config_checks.hpp"
#include "net/http/http_settings.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace penstock {
namespace {

// One line for each key that says who may come at all, or how much of the node one may hold.
bool keeps_strangers_out(const config& c) {
  if (c.identity.refuse_anonymous) return true;
  if (c.http.others == unknown_streams::refuse) return true;
  if (c.http.max_connections_per_address > 0) return true;
  return std::any_of(c.overrides.begin(), c.overrides.end(),
                     [](const auto& entry) { return entry.second.deny; });
}

// Two halves of all addresses are everybody, too, and so is "::ffff:0.0.0.0/96".
bool is_almost_everybody(const std::string& text) {
  constexpr unsigned fewest_prefix_bits = 8;
  const auto network = parse_network(text);
  return network && network->prefix_bits < fewest_prefix_bits;
}

/// What one stream, or all that nobody configured, may hold of what a holder keeps of this node.
void warn_of_replicas(const config& c, std::vector<std::string>& found) {
  if (c.cluster.directory == directory_kind::none) return;
  const auto most = c.cluster.replica_max_bytes / 2;
  const auto warn = [&](const std::string& key, std::uint64_t bytes) {
    found.push_back(fmt::format(
        "{} is {}, more than half of cluster.replica_max_size ({}): when it holds so much, other "
        "streams with ack = \"replicated\" find no holder any more; lower it, or raise "
        "cluster.replica_max_size on all nodes",
        key, format_size(bytes), format_size(c.cluster.replica_max_bytes)));
  };
  if (c.streams.at("default").ack == ack_level::replicated)
    if (const auto bytes = unconfigured_max_bytes(c); bytes > most)
      warn("journal.unconfigured_max_size", bytes);
  for (const auto& [name, stream] : c.streams)
    if (stream.ack == ack_level::replicated && stream.max_size_bytes > most)
      warn("streams." + name + ".max_size", stream.max_size_bytes);
}

} // namespace

std::vector<std::string> warnings_of(const config& c) {
  auto found = admin_warnings(c);
  warn_of_replicas(c, found);
  const auto wide = std::ranges::find_if(c.http.trusted_proxies, is_almost_everybody);
  if (wide != c.http.trusted_proxies.end())
    found.push_back(fmt::format(
        "http.trusted_proxies: {} is everybody, or nearly: whoever sends an event may say which "
        "address it comes from, and so whose limits it uses up; name the proxies",
        *wide));
  const auto listen = parse_host_port(c.http.listen);
  if (!listen || is_loopback(*listen)) return found;
  if (!keeps_strangers_out(c))
    found.push_back(fmt::format(
        "http.listen: {} is not a loopback address, and whoever reaches it may send events to any "
        "stream, without a key, over as many connections as there are; set identity.anonymous or "
        "http.unknown_streams to \"refuse\", http.max_connections_per_address, or deny = true for "
        "the networks that have no business here",
        c.http.listen));
  found.push_back(fmt::format("http.listen: {} is not a loopback address, and this version has no "
                              "TLS for it: API keys and events travel in clear; listen on "
                              "127.0.0.1 and put a proxy in front that has TLS",
                              c.http.listen));
  return found;
}

} // namespace penstock
