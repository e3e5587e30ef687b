// The rows of the option table for clusters.
#include "cli/config/cluster_options.hpp"

#include "actors/directory/directory.hpp"
#include "cli/config/address.hpp"

#include <algorithm>
#include <iterator>

namespace penstock {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t min_replica_size = 16ull << 20, max_replica_size = 1ull << 40;
constexpr std::size_t min_secret_chars = 16;
constexpr std::size_t min_nats_secret_chars = 1;
constexpr std::uint32_t max_nats_replicas = 5;

std::string check_peer(const std::string& text) {
  const auto address = parse_host_port(text);
  return address && address->port != 0 ? "" : quote(text) + " is not an IP address and a port";
}

std::string check_not_empty(const std::string& text) {
  return text.empty() ? "the text is empty" : "";
}

// Whether it can be read is found out where it is (net/links/tls_context.cpp).
std::string any_path(const std::string&) {
  return {};
}

std::vector<option> membership_options(cluster_settings& cluster) {
  return {
      {"cluster.name", read_name(cluster.name), "penstock", "production",
       "Nodes of another name are refused."},
      {"cluster.directory",
       read_choice(cluster.directory,
                   choices<directory_kind>{{"none", directory_kind::none},
                                           {"static", directory_kind::static_peers},
                                           {"nats", directory_kind::nats}}),
       "none", "static",
       "Who is in the cluster: only this node, the fixed list of peers, or whoever is in a NATS "
       "JetStream store."},
      {"cluster.listen", read_address(cluster.listen), "127.0.0.1:4200", "10.0.0.1:4200",
       "Where the other nodes connect; the very address that they know this node by."},
      {"cluster.peers",
       read_list(cluster.peers, "a list of IP addresses and ports", max_members, check_peer), "[]",
       "[\"10.0.0.2:4200\", \"10.0.0.3:4200\"]",
       "The other nodes; this node's own address may be among them, so that all can share a list."},
      {"cluster.on_owner_unreachable",
       read_choice(cluster.on_owner_unreachable,
                   choices<unreachable_policy>{{"local", unreachable_policy::local},
                                               {"refuse", unreachable_policy::refuse}}),
       "local", "refuse",
       "When the node that keeps a client's limits is gone: limit here alone, or answer 503."},
      {"cluster.ready_without", read_flag(cluster.ready_without), "false", "true",
       "Say ready on /readyz also while the node is not let into its cluster, is refused by its "
       "peers, or has no shards yet."},
      {"cluster.secret", read_secret(cluster.secret, min_secret_chars), "", "4b1f0c9e7a6d48d2",
       "Keys the hash under which clients are known; the same on every node of a cluster."},
      {"cluster.tls_cert", read_text(cluster.tls_cert, "a path", any_path), "",
       "/etc/penstock/a.pem",
       "This node's certificate, PEM, for mutual TLS between nodes; with tls_key and tls_ca."},
      {"cluster.tls_key", read_text(cluster.tls_key, "a path", any_path), "", "/etc/penstock/a.key",
       "The certificate's private key, PEM, without a passphrase."},
      {"cluster.tls_ca", read_text(cluster.tls_ca, "a path", any_path), "", "/etc/penstock/ca.pem",
       "The authority, PEM, whose certificates other nodes have; one for this cluster alone."},
      {"cluster.allow_plaintext", read_flag(cluster.allow_plaintext), "false", "true",
       "Listen off loopback without TLS: on a network that nobody else reaches."},
      {"cluster.verdict_timeout", read_duration(cluster.verdict_timeout_ms, 10ms, 1min), "500ms",
       "200ms",
       "How long to wait for the node that keeps a client's limits, and for a link to the one that "
       "has an idempotency key."},
      {"cluster.reconnect_interval", read_duration(cluster.reconnect_interval_ms, 10ms, 5min),
       "500ms", "2s", "Pause between attempts to reach a peer that is gone."},
  };
}

std::vector<option> replica_options_of(cluster_settings& cluster) {
  return {
      {"cluster.max_wire_version",
       read_number(cluster.max_wire_version, oldest_wire_version, wire_version),
       std::to_string(wire_version), std::to_string(oldest_wire_version),
       "The latest version of messages between nodes that this one speaks: the earlier one while "
       "nodes of the earlier program may come back."},
      {"cluster.adopt_after", read_duration(cluster.adopt_after_ms, 0ms, 24h * 7), "5m", "1h",
       "Events held of a node (ack = \"replicated\") that was not heard of for so long are "
       "published here. 0s: only by hand, with penstock adopt."},
      {"cluster.replica_max_size",
       read_size(cluster.replica_max_bytes, min_replica_size, max_replica_size), "1GiB", "4GiB",
       "The most that is held of each other node's events."},
  };
}

std::vector<option> nats_options(nats_settings& nats) {
  return {
      {"cluster.nats_url", read_text(nats.url, "a URL", check_not_empty), "nats://127.0.0.1:4222",
       "tls://10.0.0.8:4222,tls://10.0.0.9:4222",
       "directory = \"nats\": the server, tls:// with TLS; several with commas."},
      {"cluster.nats_replicas", read_number(nats.replicas, 1, max_nats_replicas), "1", "3",
       "Copies that NATS keeps of what it holds for the cluster, each on another of its servers; "
       "said when it is made, which the first node does."},
      {"cluster.nats_username", read_text(nats.login.username, "a name", check_not_empty), "",
       "penstock", "Who we are to NATS."},
      {"cluster.nats_password", read_secret(nats.login.password, min_nats_secret_chars), "",
       "u2mXkq7cVd0LrJ5s", "Best given by the environment."},
      {"cluster.nats_token", read_secret(nats.login.token, min_nats_secret_chars), "",
       "u2mXkq7cVd0LrJ5s", "A token in place of a name and password."},
      {"cluster.nats_credentials_file",
       read_text(nats.login.credentials_file, "a path", check_not_empty), "",
       "/etc/penstock/nats.creds", "A .creds file in place of a name and password."},
      {"cluster.nats_ca_file", read_text(nats.login.ca_file, "a path", check_not_empty), "",
       "/etc/penstock/ca.pem",
       "Authorities that may vouch for the NATS server; the system's if unset."},
      {"cluster.nats_cert_file", read_text(nats.login.cert_file, "a path", check_not_empty), "",
       "/etc/penstock/client.pem", "Our certificate for NATS."},
      {"cluster.nats_key_file", read_text(nats.login.key_file, "a path", check_not_empty), "",
       "/etc/penstock/client.key", "Its key."},
  };
}

} // namespace

std::vector<option> cluster_options(cluster_settings& cluster) {
  auto rows = membership_options(cluster);
  for (auto more : {replica_options_of(cluster), nats_options(cluster.nats)})
    std::move(more.begin(), more.end(), std::back_inserter(rows));
  return rows;
}

} // namespace penstock
