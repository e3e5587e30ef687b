// Which requests the admin plane looks at: those that no web page made on its reader's behalf.
#pragma once

#include "net/base/authority.hpp"
#include "net/base/problem.hpp"

#include <boost/beast/http/message.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The most entries of admin.hosts.
inline constexpr std::size_t max_admin_hosts = 64;

/// An entry of admin.hosts: a name or an address, with or without a port. An IPv6 address may go
/// without brackets. Nothing for what is none of these.
std::optional<authority> parse_admin_host(std::string_view text);

/// Decides from a request's header alone, before its credentials and its body are looked at.
/// Immutable; thread-safe.
class admin_gatekeeper {
 public:
  using header = boost::beast::http::request_header<>;

  /// `hosts`: admin.hosts; entries that can't be parsed admit nobody.
  explicit admin_gatekeeper(const std::vector<std::string>& hosts);

  /// 400 for no or two Hosts (HTTP/1.0 needs none), 421 for a Host that is not ours, 403 for
  /// another origin than the one that Host names and for every preflight; nothing for a request
  /// that may go on. `local`: the address at which the connection arrived, which is ours: a name
  /// that a stranger's name server points here is told by being a name.
  std::optional<problem> refuses(const header& request, const ip_address& local) const;

 private:
  bool is_ours(const authority& host, const ip_address& local) const;

  std::vector<authority> hosts_;
};

/// Whether a line of a request's header is the continuation of the one before (RFC 9112, 5.2).
bool has_folded_line(std::string_view header);

/// 501 for a coding that we do not know, 400 for one in HTTP/1.0, where a proxy may not know it:
/// whoever guesses where such a body ends may take a part of it for the next request. 400, too, for
/// a length that is said twice. The connection ends with this answer.
std::optional<problem> refuses_framing(const admin_gatekeeper::header& request);

/// 415 when what is sent is not said to be JSON: a page of another site can make a browser send
/// only forms and plain text without asking first. `form`: the route takes a form instead.
std::optional<problem> refuses_type(const admin_gatekeeper::header& request, bool has_body,
                                    bool form);

/// Whether the client speaks TLS with a proxy, by what that says in X-Forwarded-Proto. A page can't
/// make a browser send that header without asking first.
bool came_by_tls(const admin_gatekeeper::header& request);

} // namespace penstock
