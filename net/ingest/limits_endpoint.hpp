// GET /v1/usage: how the caller's limits stand. It costs nothing of them.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/limits/limit_messages.hpp"
#include "net/http/answer.hpp"
#include "net/http/request_parser.hpp"
#include "net/http/session.hpp"
#include "net/ingest/callers.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/responder.hpp"
#include "net/ingest/served_rules.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Asks the limiter that counts the caller, and answers when it has. Questions under way are
/// bounded by connections and pipelines. Not synchronised.
class limits_endpoint {
 public:
  /// All outlive it.
  limits_endpoint(lane_context& lane, const served_rules& rules, responder& answers)
      : lane_(lane), rules_(rules), responder_(answers) {}

  /// A GET or HEAD of `who`, for which `limiter` is to be asked. `query`: may name a stream.
  void ask(session& from, const request_parser& parser, std::string_view query, const caller& who,
           const limiter_handle& limiter);
  void on_reply(const limits_reply& reply);
  /// Questions sent before `oldest_ns` (of the loop's clock) are answered with 503.
  void drop_late(std::int64_t oldest_ns);

 private:
  /// A question that waits for the limiter.
  struct question {
    session* from = nullptr;
    std::uint32_t generation = 0;
    std::uint32_t exchange = 0;
    answer_context context;
    std::int64_t sent_ns = 0;
    std::string account;
    const served_plan* plan = nullptr;
    std::shared_ptr<served_plans> plans; ///< keeps `plan` alive
  };
  void answer(question& to, const std::vector<limit_status>& limits);
  template <class Lost>
  void answer_lost(Lost lost);

  lane_context& lane_;
  const served_rules& rules_;
  responder& responder_;
  boost::unordered_flat_map<std::uint64_t, question> asking_;
};

} // namespace penstock
