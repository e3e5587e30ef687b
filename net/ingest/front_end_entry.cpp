// Who may come at all: connections of one address, overrides that deny, and keys only; and streams that
// hold as much as they may.
#include "net/http/front_end_metrics.hpp"
#include "net/http/request_target.hpp"
#include "net/ingest/front_end.hpp"

#include <sys/socket.h>
#include <unistd.h>

namespace penstock {

namespace {

std::string shed_answer(std::string_view detail) {
  const auto body = to_json(problem{503, std::string{detail}});
  return "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
         "Content-Type: application/problem+json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

} // namespace

// A connection that is too many is told so, and closed. Idle ones count, so that one address can't
// hold all that there are.
void front_end::take_or_close(int fd, const ip_address& peer) {
  static const auto too_many = shed_answer("http.max_connections reached");
  static const auto too_many_of_address =
      shed_answer("http.max_connections_per_address reached");
  auto why = shed_reason::connections;
  const bool room = parts_.node.connections.load(std::memory_order_relaxed) <
                    static_cast<std::int64_t>(parts_.http.max_connections);
  if (room) {
    // Behind a trusted proxy are many clients.
    const auto& counts = parts_.per_address;
    const auto& who = *parts_.identify;
    if (!counts || who.trusts(peer) || counts->take(who.client_of(peer))) return adopt(fd, peer);
    why = shed_reason::address_connections;
  }
  parts_.metrics.count(why);
  parts_.metrics.count_status(503);
  const auto& answer = room ? too_many_of_address : too_many;
  [[maybe_unused]] auto n = ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
  ::close(fd);
}

// Before a key is looked at and anything is charged. A network that is denied stays out with a key,
// too; so does a denied account with each of its keys.
std::optional<problem> front_end::barred(const identity& who) {
  const auto& overrides = rules_->overrides;
  const bool known = who.result == identity::outcome::known;
  if (!overrides.empty() &&
      (overrides.denies(who.address) || (known && overrides.denies(who.client)))) {
    parts_.metrics.count(bar_reason::denied);
    return problem{403, "This node takes nothing from this client."};
  }
  if (known && !who.key && parts_.identify->refuses_anonymous()) {
    parts_.metrics.count(bar_reason::anonymous);
    return problem{401, "This node takes requests with an API key only."};
  }
  return std::nullopt;
}

// A body is still to come: whom we won't serve is told so without it.
bool front_end::on_header(session& from, const request_parser& parser) {
  if (rules_->overrides.empty() && !parts_.identify->refuses_anonymous()) return false;
  if (!is_for_clients(split_target(parser.head().target).path)) return false;
  const auto who = parts_.identify->identify(parser.head(), from.peer(), from.peer_trusted(),
                                             from.peer_client(), access_.get());
  const auto why = barred(who);
  if (why) answer_and_close(from, *why);
  return why.has_value();
}

// Nothing, as long as the stream may hold more of the journal.
std::optional<problem> front_end::stream_is_full(std::string_view stream) const {
  if (!refused_streams_) return std::nullopt;
  const auto name = "The stream \"" + std::string{stream} + "\" ";
  if (refused_streams_->names.contains(stream))
    return problem{507, name + "holds as much as its max_size or max_age lets it, until its sinks "
                               "have taken some; nothing was stored. Other streams are taken."};
  if (refused_streams_->unconfigured && !rules_->streams.contains(stream))
    return problem{507, name + "is not configured, and those that are not hold "
                               "journal.unconfigured_max_size together; nothing was stored. Other streams "
                               "are taken."};
  return std::nullopt;
}

} // namespace penstock
