// Who is calling: the first rule of the configured order that matches names the client.
#pragma once

#include "actors/accounts/access_table.hpp"
#include "net/base/network.hpp"
#include "net/clients/identity_settings.hpp"
#include "net/http/http_settings.hpp"
#include "net/http/request.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Hashes what identifies a client with the cluster's secret, so that nothing inside knows clients
/// by anything else and nobody outside can aim at a hash: XXH3 with a secret of 192 bytes.
class client_hasher {
 public:
  static constexpr std::size_t secret_bytes = 192;
  /// Every node of a cluster has the same `secret`; it is stretched with SHA-256 in counter mode.
  explicit client_hasher(std::string_view secret);
  /// `kind` keeps an address and a header of equal bytes apart.
  std::uint64_t operator()(identity_source kind, std::string_view name,
                           std::string_view value) const;

 private:
  std::array<char, secret_bytes> secret_;
};

struct identity {
  enum class outcome : std::uint8_t { known, unknown_key, malformed };
  outcome result = outcome::known;
  std::uint64_t client = 0;        ///< whom limits count: the account, or the anonymous client
  ip_address address{};            ///< behind trusted proxies
  bool by_address = false;         ///< that is what tells the client apart
  const access_key* key = nullptr; ///< the key that was presented; lives as long as its table
  std::string_view detail{};       ///< what to tell the caller when it is not known
};

/// scheme://host[:port] of a URL, without the path; empty if it is none.
std::string_view origin_of(std::string_view url);

/// Pure. Built once a configuration; thread-safe to read.
class identifier {
 public:
  identifier(const identity_settings& settings, const std::vector<std::string>& trusted_proxies,
             std::string_view secret,
             client_address_source from = client_address_source::x_forwarded_for);

  /// Lower-case header names for the request parser, in the order of custom_0….
  const std::vector<std::string>& custom_fields() const { return custom_fields_; }
  bool trusts(const ip_address& peer) const { return any_contains(trusted_, peer); }

  /// `peer_client` is client_of(peer), which a session computes once. `keys`: those in force; null
  /// knows none. Whether a key may be used for this request is for may_use() to say.
  identity identify(const request_head& head, const ip_address& peer, bool peer_trusted,
                    std::uint64_t peer_client, const access_table* keys = nullptr) const;
  /// The keyed hash of a name of some kind, for access_table.
  std::uint64_t client_of(std::string_view kind, std::string_view name) const;
  const key_hasher& keys_hasher() const { return hash_key_; }
  /// The clients that go by this value in a header, a cookie or a Referer of the order.
  std::vector<std::uint64_t> clients_named(std::string_view value) const;
  std::uint64_t client_of(const ip_address& address) const;
  /// What client_of() tells apart, as text: "203.0.113.7", "2001:db8::/64".
  std::string name_of(const ip_address& address) const;

  /// The client behind trusted proxies (net/http/forwarded.hpp); nothing when the header that says
  /// so is malformed where it matters.
  std::optional<ip_address> forwarded_client(const request_head& head,
                                             const ip_address& peer) const;
  bool refuses_anonymous() const { return refuse_anonymous_; }

 private:
  struct rule {
    identity_source source;
    std::string name;
    request_field field = request_field::count;
  };

  identity by_key(const request_head& head, request_field field, std::string_view text,
                  const access_table* keys) const;
  std::optional<identity> by_rule(const rule& r, const request_head& head,
                                  const access_table* keys) const;

  std::vector<rule> order_;
  std::vector<std::string> custom_fields_;
  std::vector<ip_network> trusted_;
  client_address_source client_address_from_;
  bool refuse_anonymous_;
  unsigned ipv4_prefix_;
  unsigned ipv6_prefix_;
  client_hasher hash_;
  key_hasher hash_key_;
};

} // namespace penstock
