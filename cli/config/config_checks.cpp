#include "cli/config/config_checks.hpp"

#include "actors/base/units.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/directory/directory.hpp"
#include "actors/streams/stream_settings.hpp"
#include "cli/config/address.hpp"
#include "net/base/authority.hpp"
#include "net/directory/nats_directory.hpp"
#include "net/sinks/sink_kinds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <map>

namespace penstock {
namespace {

class checker {
 public:
  checker(const config& c, const config_origins& origins, problem_list& problems)
      : config_(c), origins_(origins), problems_(problems) {}

  void check_addresses() const;
  void check_sizes() const;
  void check_cluster() const;
  void check_nats() const;
  void check_cluster_tls() const;
  void check_sinks() const;
  void check_streams() const;
  void check_replicated() const;
  void check_plans() const;
  void check_overrides() const;

 private:
  bool readable(std::initializer_list<std::string> keys) const {
    return std::none_of(keys.begin(), keys.end(),
                        [&](const std::string& key) { return origins_.wrong.contains(key); });
  }
  void complain(const std::string& key, const std::string& what) const {
    const auto found = origins_.place.find(key);
    problems_.add(fmt::format(
        "{}: {}: {}", found == origins_.place.end() ? "default" : found->second, key, what));
  }

  const config& config_;
  const config_origins& origins_;
  problem_list& problems_;
};

bool clash(const host_port& a, const host_port& b) {
  if (a.port == 0 || a.port != b.port) return false;
  return a.host == b.host || is_wildcard(a) || is_wildcard(b);
}

void checker::check_addresses() const {
  const auto http = parse_host_port(config_.http.listen);
  const auto admin = parse_host_port(config_.admin.listen);
  const auto cluster = parse_host_port(config_.cluster.listen);
  const bool clustered = config_.cluster.directory != directory_kind::none;
  if (readable({"admin.listen"}) && !is_loopback(*admin))
    complain("admin.listen",
             fmt::format("{} is not a loopback address; off loopback the admin plane needs TLS and "
                         "a token, and this version has no TLS: listen on 127.0.0.1 and reach it "
                         "through a tunnel or a proxy that has",
                         config_.admin.listen));
  if (readable({"admin.listen", "http.listen"}) && clash(*http, *admin))
    complain("admin.listen", "this is the port of http.listen; take another one");
  if (!clustered || !readable({"cluster.directory", "cluster.listen"})) return;
  if (readable({"http.listen"}) && clash(*http, *cluster))
    complain("cluster.listen", "this is the port of http.listen; take another one");
  if (readable({"admin.listen"}) && clash(*admin, *cluster))
    complain("cluster.listen", "this is the port of admin.listen; take another one");
}

void checker::check_sizes() const {
  const auto& http = config_.http;
  if (readable({"http.max_body", "http.max_in_flight"}) &&
      http.max_in_flight_bytes < http.max_body_bytes)
    complain("http.max_in_flight",
             fmt::format("{} is less than one body of http.max_body ({}); raise it or lower that",
                         format_size(http.max_in_flight_bytes), format_size(http.max_body_bytes)));
  const auto& journal = config_.journal;
  if (readable({"journal.max_size", "journal.segment_size"}) &&
      journal.max_size_bytes / 2 < journal.segment_size_bytes)
    complain("journal.max_size",
             fmt::format("{} is less than two segments of journal.segment_size ({}), and space is "
                         "freed by whole segments; raise it or lower that",
                         format_size(journal.max_size_bytes),
                         format_size(journal.segment_size_bytes)));
  if (!readable({"journal.low_watermark"})) return;
  if (readable({"journal.high_watermark"}) && journal.low_watermark > journal.high_watermark)
    complain("journal.low_watermark",
             fmt::format("{} is more than journal.high_watermark ({}); lower it or raise that",
                         journal.low_watermark, journal.high_watermark));
  if (readable({"journal.max_size", "journal.segment_size"}) &&
      journal.max_size_bytes / 100 * journal.low_watermark < journal.segment_size_bytes)
    complain("journal.low_watermark",
             fmt::format("{} percent of journal.max_size ({}) is less than a segment of "
                         "journal.segment_size ({}), which stays in use; raise it or lower that",
                         journal.low_watermark, format_size(journal.max_size_bytes),
                         format_size(journal.segment_size_bytes)));
}

void checker::check_cluster() const {
  const auto& cluster = config_.cluster;
  if (cluster.directory == directory_kind::none) return;
  if (!readable({"cluster.directory", "cluster.peers", "cluster.listen"})) return;
  const bool listed = cluster.directory == directory_kind::static_peers;
  if (listed && cluster.peers.empty())
    complain("cluster.peers", "directory = \"static\" needs the addresses of the other nodes; add "
                              "them, or write directory = \"none\" for a node on its own");
  // As many as a list may have, when this node's own address is not one of them.
  if (listed && cluster.peers.size() >= max_members)
    complain("cluster.peers",
             fmt::format("there are {} other nodes; with this one a cluster has at "
                         "most {}",
                         cluster.peers.size(), max_members));
  const auto listen = *parse_host_port(cluster.listen);
  if (is_wildcard(listen) || listen.port == 0)
    complain("cluster.listen",
             fmt::format("{} is not an address that other nodes can name; write this node's own "
                         "address and port{}",
                         cluster.listen, listed ? ", as it stands in their cluster.peers" : ""));
  if (!listed) check_nats();
}

void checker::check_nats() const {
  const auto& cluster = config_.cluster;
  if (readable({"cluster.secret"}) && cluster.secret.empty())
    complain(
        "cluster.secret",
        "directory = \"nats\" needs one, as the nodes share keys by their hashes; make it once, "
        "as with: openssl rand -hex 32, and give it to every node of the cluster");
  const auto fault = fault_of(cluster.nats);
  if (!fault.setting.empty() && readable({"cluster." + fault.setting}))
    complain("cluster." + fault.setting, fault.why);
}

// Whoever reaches a cluster port without TLS may send any message to any actor of the node.
void checker::check_cluster_tls() const {
  const auto& cluster = config_.cluster;
  if (cluster.directory == directory_kind::none) return;
  if (!readable({"cluster.directory", "cluster.listen", "cluster.tls_cert", "cluster.tls_key",
                 "cluster.tls_ca", "cluster.allow_plaintext"}))
    return;
  const auto given = {std::pair{"cluster.tls_cert", &cluster.tls_cert},
                      std::pair{"cluster.tls_key", &cluster.tls_key},
                      std::pair{"cluster.tls_ca", &cluster.tls_ca}};
  const bool any = std::ranges::any_of(given, [](auto& each) { return !each.second->empty(); });
  for (const auto& [key, file] : given)
    if (any && file->empty())
      complain(key, "TLS between nodes needs cluster.tls_cert, cluster.tls_key and cluster.tls_ca; "
                    "name this file too, or none of them");
  if (any || cluster.allow_plaintext || is_loopback(*parse_host_port(cluster.listen))) return;
  complain("cluster.listen",
           fmt::format("{} is not a loopback address, and off loopback nodes need TLS: set "
                       "cluster.tls_cert, cluster.tls_key and cluster.tls_ca (scripts/certs makes "
                       "some to try), or cluster.allow_plaintext = true on a network that nobody "
                       "else reaches",
                       cluster.listen));
}

void checker::check_streams() const {
  for (const auto& [name, stream] : config_.streams) {
    const auto key = [&name = name](std::string_view field) {
      return fmt::format("streams.{}.{}", name, field);
    };
    if (readable({key("sinks")})) {
      std::size_t embedded = 0;
      for (const auto& sink : stream.sinks) {
        const auto found = config_.sinks.find(sink);
        if (found == config_.sinks.end())
          complain(key("sinks"), fmt::format("there is no sink {}; add [sinks.{}] or name one of "
                                             "those there are",
                                             quote(sink), sink));
        else if (readable({"sinks." + sink + ".kind"}) && found->second.kind == "embedded")
          ++embedded;
      }
      if (embedded > 1)
        complain(key("sinks"), "a stream has one embedded queue; leave one of them out");
    }
    if (readable({key("max_body"), "http.max_body"}) &&
        stream.max_body_bytes > config_.http.max_body_bytes)
      complain(key("max_body"), fmt::format("{} is more than http.max_body ({}); raise that too",
                                            format_size(stream.max_body_bytes),
                                            format_size(config_.http.max_body_bytes)));
  }
}

// A second node has to be there, and to be spoken to.
void checker::check_replicated() const {
  const auto& cluster = config_.cluster;
  for (const auto& [name, stream] : config_.streams) {
    const auto key = "streams." + name + ".ack";
    if (stream.ack != ack_level::replicated || !readable({key})) continue;
    if (readable({"cluster.directory"}) && cluster.directory == directory_kind::none)
      complain(key, "\"replicated\" needs a second node; set cluster.directory to \"nats\" or "
                    "\"static\", or write \"journaled\"");
    else if (readable({"cluster.max_wire_version"}) &&
             cluster.max_wire_version < replicas_wire_version)
      complain(key,
               fmt::format("\"replicated\" needs cluster.max_wire_version = {} or later; raise "
                           "that, or write \"journaled\" until all nodes are new",
                           replicas_wire_version));
  }
}

// Keys that all kinds have are no kind's own; the embedded queue has none but its kind.
bool has_key(const sink_kind* kind, std::string_view key) {
  const auto names = [&](const std::vector<sink_key>& keys) {
    return std::ranges::find(keys, key, &sink_key::name) != keys.end();
  };
  if (key == "kind") return true;
  return kind && (names(kind->keys) || !names(all_sink_keys()));
}

void checker::check_sinks() const {
  for (const auto& [name, sink] : config_.sinks) {
    if (!readable({"sinks." + name + ".kind"})) continue;
    const auto prefix = "sinks." + name + '.';
    const auto* kind = find_sink_kind(sink.kind);
    for (const auto& [key, place] : origins_.place)
      if (key.starts_with(prefix) && !has_key(kind, std::string_view{key}.substr(prefix.size())))
        complain(key, fmt::format("a sink of the kind {} has no such key; leave it out, or change "
                                  "the kind",
                                  quote(sink.kind)));
    const auto* missing = kind ? missing_key(sink.values, kind->keys) : nullptr;
    if (missing && readable({prefix + missing->name}))
      complain(prefix + "kind", fmt::format("a sink of the kind {} needs {}{}; add it",
                                            quote(sink.kind), prefix, missing->name));
    if (sink.delivery.retry_max_ms < sink.delivery.retry_min_ms)
      complain(prefix + "retry_max", "this is less than retry_min; raise it or lower that");
  }
}

// Limiters know plans by a hash of 32 bits.
void checker::check_plans() const {
  std::map<std::uint32_t, std::string> names;
  for (const auto& [name, rules] : config_.plans) {
    const auto [other, fresh] = names.emplace(plan_id(name), name);
    if (!fresh)
      complain("plans." + name + ".limits",
               fmt::format("the name's hash is that of the plan {}; rename one of them",
                           quote(other->second)));
  }
}

// The plan may be one that is set while running, so it need not be known here.
void checker::check_overrides() const {
  for (const auto& [name, entry] : config_.overrides) {
    const auto key = "overrides." + name;
    const auto said = !entry.account.empty() + !entry.client.empty() + !entry.ip.empty();
    if (said != 1) complain(key, "it must say to whom it applies by one of account, client and ip");
    if (entry.plan.empty() && !entry.deny)
      complain(key + ".plan", "no plan is named; add plan = \"...\", or deny = true");
    if (!entry.plan.empty() && entry.deny)
      complain(key + ".deny", "whom an override denies needs no plan; leave one of them out");
  }
}

} // namespace

void check_together(const config& c, const config_origins& origins, problem_list& problems) {
  const checker check{c, origins, problems};
  check.check_addresses();
  check.check_sizes();
  check.check_cluster();
  check.check_cluster_tls();
  check.check_sinks();
  check.check_streams();
  check.check_replicated();
  check.check_plans();
  check.check_overrides();
}

std::vector<std::string> admin_warnings(const config& c) {
  const bool all_here = std::ranges::all_of(c.admin.hosts, [](const auto& host) {
    const auto name = parse_authority(host);
    return name && name->is_loopback();
  });
  if (all_here || !c.admin.token.empty()) return {};
  return {"admin.hosts lets in who comes by another name, through a proxy say, and admin.token is "
          "not set: whoever reaches that name can take every event and drain the node; set a "
          "token"};
}

} // namespace penstock
