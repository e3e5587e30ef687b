// Who sends a request, and under which plan.
#pragma once

#include "net/base/problem.hpp"
#include "net/clients/identity.hpp"
#include "net/http/request_parser.hpp"
#include "net/http/session.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/responder.hpp"
#include "net/ingest/served_rules.hpp"

#include <optional>
#include <string_view>

namespace penstock {

struct caller {
  identity who;
  served_plan* plan = nullptr;
};

/// Finds callers, and tells those that may not come so. Not synchronised.
class callers {
 public:
  /// All outlive it.
  callers(lane_context& lane, const served_rules& rules, const identifier& identify,
          responder& answers)
      : lane_(lane), rules_(rules), identify_(identify), responder_(answers) {}

  /// A request's caller; nothing when it has been answered with an error. `stream`: none for what
  /// is not for a stream.
  std::optional<caller> find(session& from, const request_parser& parser,
                             std::optional<std::string_view> stream);
  /// A body is still to come. True: the caller may not come at all, and has been told so without
  /// it; the connection closes.
  bool refuse_early(session& from, const request_parser& parser);

 private:
  identity identify(const session& from, const request_parser& parser) const;
  std::optional<problem> barred(const identity& who);

  lane_context& lane_;
  const served_rules& rules_;
  const identifier& identify_;
  responder& responder_;
};

} // namespace penstock
