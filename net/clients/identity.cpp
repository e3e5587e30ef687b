#include "net/clients/identity.hpp"

#include "net/base/ascii.hpp"
#include "net/http/forwarded.hpp"
#include "net/http/request_target.hpp"

#include <openssl/sha.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace penstock {

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

constexpr std::string_view bearer_scheme = "bearer ";

bool starts_with_nocase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), text.begin(),
                    [](char a, char b) { return a == lower_ascii(b); });
}

std::string_view cookie_value(std::string_view cookies, std::string_view name) {
  while (!cookies.empty()) {
    auto semicolon = cookies.find(';');
    auto pair = trim(cookies.substr(0, semicolon));
    cookies =
        semicolon == std::string_view::npos ? std::string_view{} : cookies.substr(semicolon + 1);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
  }
  return {};
}

// As it was sent: no key has a character that needs an escape.
std::optional<std::string_view> target_query_value(std::string_view target, std::string_view name) {
  auto query = split_target(target).query;
  while (!query.empty()) {
    auto amp = query.find('&');
    auto pair = query.substr(0, amp);
    query = amp == std::string_view::npos ? std::string_view{} : query.substr(amp + 1);
    auto equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    return equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1);
  }
  return std::nullopt;
}

} // namespace

std::string_view origin_of(std::string_view url) {
  auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  auto end = url.find_first_of("/?#", scheme + 3);
  return url.substr(0, end);
}

client_hasher::client_hasher(std::string_view secret) {
  for (std::size_t i = 0; i * SHA256_DIGEST_LENGTH < secret_bytes; ++i) {
    std::string block = "penstock client hash " + std::to_string(i) + ":";
    block += secret;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(block.data()), block.size(), digest);
    auto at = i * SHA256_DIGEST_LENGTH;
    std::memcpy(secret_.data() + at, digest, std::min(sizeof digest, secret_bytes - at));
  }
}

std::uint64_t client_hasher::operator()(identity_source kind, std::string_view name,
                                        std::string_view value) const {
  auto tag = static_cast<char>(kind);
  if (1 + name.size() + 1 + value.size() <= 256) {
    char buffer[256];
    auto* p = buffer;
    *p++ = tag;
    p = std::copy(name.begin(), name.end(), p);
    *p++ = '\0';
    p = std::copy(value.begin(), value.end(), p);
    return XXH3_64bits_withSecret(buffer, static_cast<std::size_t>(p - buffer), secret_.data(),
                                  secret_.size());
  }
  std::string long_key{tag};
  long_key.append(name).push_back('\0');
  long_key += value;
  return XXH3_64bits_withSecret(long_key.data(), long_key.size(), secret_.data(), secret_.size());
}

identifier::identifier(const identity_settings& settings,
                       const std::vector<std::string>& trusted_proxies, std::string_view secret,
                       client_address_source from)
    : client_address_from_(from), refuse_anonymous_(settings.refuse_anonymous),
      ipv4_prefix_(settings.ipv4_prefix), ipv6_prefix_(settings.ipv6_prefix), hash_(secret),
      hash_key_(secret) {
  auto order = settings.order;
  const bool takes_keys = std::any_of(order.begin(), order.end(), [](const auto& wanted) {
    return wanted.source == identity_source::bearer ||
           wanted.source == identity_source::x_api_key || wanted.source == identity_source::query;
  });
  // Keys only, but none would be looked for.
  if (settings.refuse_anonymous && !takes_keys)
    order.insert(order.begin(), {{identity_source::bearer, ""}, {identity_source::x_api_key, ""}});
  for (auto& wanted : order) {
    rule r{wanted.source, wanted.name};
    if (r.source == identity_source::header) {
      std::transform(r.name.begin(), r.name.end(), r.name.begin(), lower_ascii);
      r.field = static_cast<request_field>(static_cast<std::size_t>(request_field::custom_0) +
                                           custom_fields_.size());
      custom_fields_.push_back(r.name);
    }
    order_.push_back(std::move(r));
  }
  for (auto& text : trusted_proxies)
    if (auto network = parse_network(text)) trusted_.push_back(*network);
}

std::uint64_t identifier::client_of(const ip_address& address) const {
  auto masked = address.masked(address.v6 ? ipv6_prefix_ : ipv4_prefix_);
  return hash_(identity_source::ip, {}, masked.raw());
}

std::uint64_t identifier::client_of(std::string_view kind, std::string_view name) const {
  return hash_(identity_source::bearer, kind, name);
}

std::string identifier::name_of(const ip_address& address) const {
  const auto prefix = address.v6 ? ipv6_prefix_ : ipv4_prefix_;
  const auto text = to_text(address.masked(prefix));
  return prefix == (address.v6 ? 128 : 32) ? text : text + "/" + std::to_string(prefix);
}

std::vector<std::uint64_t> identifier::clients_named(std::string_view value) const {
  std::vector<std::uint64_t> clients;
  for (auto& r : order_)
    if (r.source == identity_source::header || r.source == identity_source::cookie)
      clients.push_back(hash_(r.source, r.name, value));
    else if (r.source == identity_source::path || r.source == identity_source::referer)
      clients.push_back(hash_(r.source, {}, value));
  return clients;
}

std::optional<ip_address> identifier::forwarded_client(const request_head& head,
                                                       const ip_address& peer) const {
  switch (client_address_from_) {
  case client_address_source::x_forwarded_for:
    return client_in_x_forwarded_for(head[request_field::x_forwarded_for], peer, trusted_);
  case client_address_source::forwarded:
    return client_in_forwarded(head[request_field::forwarded], peer, trusted_);
  case client_address_source::none:
    break;
  }
  return peer;
}

// A key that is presented is never anonymous, whatever is wrong with it.
identity identifier::by_key(const request_head& head, request_field field, std::string_view text,
                            const access_table* keys) const {
  if (head.repeated >> static_cast<unsigned>(field) & 1u)
    return {.result = identity::outcome::malformed,
            .detail = "The header that holds the API key is repeated."};
  const access_key* key = keys && may_be_api_key(text) ? keys->find(hash_key_(text)) : nullptr;
  if (key) return {.client = key->client, .key = key};
  return {.result = identity::outcome::unknown_key,
          .detail = is_api_key(text) ? "This API key is not known here."
                                     : "This API key is not known here: it is cut or mistyped."};
}

identity identifier::identify(const request_head& head, const ip_address& peer, bool peer_trusted,
                              std::uint64_t peer_client, const access_table* keys) const {
  auto address = peer;
  if (peer_trusted) {
    auto behind = forwarded_client(head, peer);
    if (!behind)
      return {.result = identity::outcome::malformed,
              .address = peer,
              .detail = "The Forwarded header is malformed."};
    address = *behind;
  }
  for (auto& r : order_) {
    auto found = by_rule(r, head, keys);
    if (r.source == identity_source::ip)
      found =
          identity{.client = peer_trusted ? client_of(address) : peer_client, .by_address = true};
    if (!found) continue;
    found->address = address;
    return *found;
  }
  // No rule matched and `ip` is not in the order: the connection's own address is what is left.
  return {.client = peer_client, .address = peer, .by_address = true};
}

std::optional<identity> identifier::by_rule(const rule& r, const request_head& head,
                                            const access_table* keys) const {
  using enum identity_source;
  switch (r.source) {
  case bearer: {
    auto value = head[request_field::authorization];
    if (!starts_with_nocase(value, bearer_scheme)) return std::nullopt;
    return by_key(head, request_field::authorization, trim(value.substr(bearer_scheme.size())),
                  keys);
  }
  case x_api_key:
    if (!head.has(request_field::x_api_key)) return std::nullopt;
    return by_key(head, request_field::x_api_key, head[request_field::x_api_key], keys);
  case query: {
    auto key = target_query_value(head.target, "api_key");
    if (!key) return std::nullopt;
    return by_key(head, request_field::count, *key, keys);
  }
  case header: {
    if (head.repeated >> static_cast<unsigned>(r.field) & 1u)
      return identity{.result = identity::outcome::malformed,
                      .detail = "The header that names the client is repeated."};
    auto value = head[r.field];
    if (value.empty()) return std::nullopt;
    return identity{.client = hash_(header, r.name, value)};
  }
  case cookie: {
    auto value = cookie_value(head[request_field::cookie], r.name);
    if (value.empty()) return std::nullopt;
    return identity{.client = hash_(cookie, r.name, value)};
  }
  case path:
    if (!is_beneath(split_target(head.target).path, r.name)) return std::nullopt;
    return identity{.client = hash_(path, {}, r.name)};
  case referer: {
    auto origin = origin_of(head[request_field::referer]);
    if (origin.empty()) return std::nullopt;
    return identity{.client = hash_(referer, {}, origin)};
  }
  case ip:
    break;
  }
  return std::nullopt;
}

} // namespace penstock
