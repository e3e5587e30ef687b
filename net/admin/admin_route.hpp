// What a route of the admin plane is, what it is given and what it answers.
#pragma once

#include "actors/base/drain_status.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/node_state.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/queue/queue_messages.hpp"
#include "actors/usage/usage_rebuilder.hpp"
#include "net/admin/places.hpp"
#include "net/admin/sessions.hpp"
#include "net/base/problem.hpp"
#include "net/http/bearer_token.hpp"
#include "net/loop/ask.hpp"
#include "net/telemetry/metrics_page.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/verb.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// What the routes need; everything outlives the server.
struct admin_context {
  asker& actors;
  queue_handle queue;
  accounts_handle accounts;
  const node_state& node;
  const metrics_sources& metrics;
  const bearer_token& token;
  usage_reports_handle usage{};         ///< of this node; null: usage is not counted
  usage_reports_handle cluster_usage{}; ///< of all nodes; null: this one is alone
  usage_rebuilder_handle usage_rebuilder{};
  std::shared_ptr<usage_rebuild_status> usage_rebuild{}; ///< what it is doing
  /// Reports under way; those waited for when the server ends outlive this context.
  std::shared_ptr<std::size_t> usage_reports = std::make_shared<std::size_t>(0);
  dead_letters_handle dead_letters{};    ///< see dead_letters_actor.hpp; null: there are none
  replay_handle replays{};               ///< see replay_actor.hpp; null: there are none
  std::shared_ptr<drain_status> drain{}; ///< null: a drain can't be asked for
  std::function<void()> begin_drain{};
  std::uint16_t port = 0; ///< the plane's own, for its cookie
  admin_sessions sessions{};
  std::uint64_t last_wait = 0; ///< names waits in the queue
};

/// A request; the views last as long as its connection waits for the answer.
struct admin_request {
  boost::beast::http::verb method{};
  std::string_view path; ///< as sent, without the query
  std::string_view query;
  std::string_view body;
  std::string_view authorization;
  std::string name;          ///< of a route with a {name}
  std::string_view cookie{}; ///< the header
  bool tls = false;          ///< between the browser and a proxy before us
  bool trusted = false;      ///< admit_admin() found the token or a session, or none is asked for
  /// About how many bytes the answer may have, for routes that can choose.
  std::uint64_t max_answer_bytes = max_receive_bytes;
  /// A route that waits leaves here what is to be done when the client goes away meanwhile.
  std::function<void()>* on_gone = nullptr;
};

struct admin_answer {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body{};
  std::string allow{};                                        ///< for 405
  std::function<void()> undelivered{};                        ///< called when it can't be written
  std::vector<std::pair<std::string, std::string>> headers{}; ///< more of them
};

/// The answer that tells `what`.
admin_answer answer_of(const problem& what);
admin_answer answer_of(const error& why);

/// What a {…} in a route's pattern may be.
struct admin_name_check {
  bool (*is_one)(std::string_view);
  std::string_view rule;
};

// Bodies: of a few fields, of a key or a plan, of as many ids or receipts as there may be.
inline constexpr std::uint32_t small_body_bytes = 16u << 10;
inline constexpr std::uint32_t rules_body_bytes = 256u << 10;
inline constexpr std::uint32_t list_body_bytes = 1u << 20;
/// Room for an answer of dead letters, keys or usage.
inline constexpr std::uint32_t page_answer_bytes = 4u << 20;

struct admin_rules {
  const admin_name_check* name = nullptr;  ///< null: the route looks at its {…} itself
  std::uint32_t max_body_bytes = 0;        ///< a larger one is a 413
  admin_kind kind = admin_kind::operators; ///< whose place; for strangers the one they have
  bool open = false;                       ///< needs no token
  bool session = false;                    ///< a browser's session will do in place of the token
  bool form = false;                       ///< takes a form, not JSON
  bool vital = false;                      ///< is answered even when all places are taken
  bool waits = false;                      ///< the client may go away before there is an answer
  bool sized = false;                      ///< heeds admin_request::max_answer_bytes
  std::uint32_t answer_bytes = 0; ///< of a large answer that an actor makes: room is kept for it
};

/// Each file of routes defines `std::span<const admin_route> NAME_routes()`, and has a line in the
/// list of admin_routes.cpp.
struct admin_route {
  boost::beast::http::verb method;
  std::string_view pattern;
  boost::asio::awaitable<admin_answer> (*run)(admin_context&, admin_request&);
  admin_rules rules{};
};

/// "%2B" to "+"; nothing for a broken escape. A plus sign stays one: it occurs in RFC 3339 times.
std::optional<std::string> percent_decode(std::string_view text);
/// The value of `name` in a query, decoded; nothing if it is not there or badly escaped.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

} // namespace penstock
