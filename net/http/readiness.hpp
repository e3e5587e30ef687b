// What /livez and /readyz tell, on both planes.
#pragma once

#include "actors/base/node_state.hpp"

#include <string>
#include <string_view>

namespace penstock {

struct readiness {
  bool ready = false;
  bool draining = false;
  bool full = false;
  bool scarce = false;
  bool failed = false;
  bool refused = false; ///< by its peers
  cluster_standing standing = cluster_standing::in;
};

/// Whether a node takes requests, and what keeps it from that. Any thread.
readiness readiness_of(const node_state& node);

/// The body of an answer that says `ok`; `query` may ask for more with "verbose".
std::string readiness_text(const readiness& of, bool ok, std::string_view query);

} // namespace penstock
