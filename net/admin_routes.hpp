// What the admin plane answers: one table of routes.
#pragma once

#include "actors/drain_board.hpp"
#include "actors/node_state.hpp"
#include "actors/usage_rebuilder.hpp"
#include "net/ask.hpp"
#include "net/bearer_token.hpp"
#include "net/metrics_page.hpp"
#include "net/problem.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/verb.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// What the routes need; everything outlives the server.
struct admin_context {
  asker& actors;
  caf::actor queue;
  caf::actor accounts;
  const node_state& node;
  const metrics_sources& metrics;
  const bearer_token& token;
  caf::actor usage{}; ///< answers usage_query_ptr; null: usage is not counted
  caf::actor usage_rebuilder{};
  std::shared_ptr<usage_rebuild_board> usage_rebuild{}; ///< what it is doing
  /// Reports under way; those waited for when the server ends outlive this context.
  std::shared_ptr<std::size_t> usage_reports = std::make_shared<std::size_t>(0);
  caf::actor dead_letters{};            ///< see dead_letters_actor.hpp; null: there are none
  caf::actor replays{};                 ///< see replay_actor.hpp; null: there are none
  std::shared_ptr<drain_board> drain{}; ///< null: a drain can't be asked for
  std::function<void()> begin_drain{};
};

/// A request; the views last as long as its connection waits for the answer.
struct admin_request {
  boost::beast::http::verb method{};
  std::string_view path; ///< as sent, without the query
  std::string_view query;
  std::string_view body;
  std::string_view authorization;
  std::string name; ///< of a route with a {name}
};

struct admin_answer {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body{};
  std::string allow{};                 ///< for 405
  std::function<void()> undelivered{}; ///< called when the answer can't be written
};

/// The answer that tells `what`.
admin_answer answer_of(const problem& what);
admin_answer answer_of(const error& why);

/// Finds the route, checks the token and runs it. Every error is an answer.
boost::asio::awaitable<admin_answer> route_admin(admin_context& context, admin_request& request);

/// The part of `path` that stands for the one {…} in `pattern`, decoded; "" when the pattern has
/// none; nothing when the path does not match.
std::optional<std::string> match_route(std::string_view pattern, std::string_view path);

/// "%2B" to "+"; nothing for a broken escape. A plus sign stays one: it occurs in RFC 3339 times.
std::optional<std::string> percent_decode(std::string_view text);
/// The value of `name` in a query, decoded; nothing if it is not there or badly escaped.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

} // namespace penstock
