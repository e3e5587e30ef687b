// Messages of the usage actors, all within a node.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/usage/usage_rebuild.hpp"
#include "storage/stores/usage_reader.hpp"
#include "storage/stores/usage_store.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// A front end hands over what it counted (usage_batch_ptr); there is no answer.

/// Answered by the usage reader with usage_answer_ptr.
using usage_query_ptr = std::shared_ptr<const usage_query>;

/// Whose counts a report over the cluster has.
struct usage_origin {
  std::string node;
  std::string address;       ///< its cluster.listen
  bool is_copy = false;      ///< the node was not reached: another one kept them
  std::int64_t known_ms = 0; ///< all that it had counted by then is there; 0: not yet all
};
struct usage_coverage {
  std::vector<usage_origin> nodes;  ///< by name and address
  std::vector<std::string> missing; ///< addresses of members that nobody knows the counts of
};
struct usage_answer {
  bool ok = true;
  error why;
  usage_report report;
  std::optional<usage_coverage> coverage{}; ///< none: it is of one node
};
using usage_answer_ptr = std::shared_ptr<const usage_answer>;

/// To the usage actor: write what waits, and these, now. Answered with usage_written.
struct usage_write {
  std::vector<usage_batch_ptr> batches{};
};
struct usage_written {
  bool ok = true;
  error why;
};

/// The rebuilder's own: what was durable when it was asked has been counted.
struct usage_settled {};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::usage_batch_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::usage_query_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::usage_answer_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::usage_write)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::usage_written)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::usage_settled)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::usage_rebuild_request)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_usage, caf::first_custom_type_id + 70)
CAF_ADD_TYPE_ID(penstock_usage, (penstock::usage_batch_ptr))
CAF_ADD_TYPE_ID(penstock_usage, (penstock::usage_query_ptr))
CAF_ADD_TYPE_ID(penstock_usage, (penstock::usage_answer_ptr))
CAF_ADD_TYPE_ID(penstock_usage, (penstock::usage_write))
CAF_ADD_TYPE_ID(penstock_usage, (penstock::usage_written))
CAF_ADD_TYPE_ID(penstock_usage, (penstock::usage_settled))
CAF_ADD_TYPE_ID(penstock_usage, (penstock::usage_rebuild_request))
CAF_END_TYPE_ID_BLOCK(penstock_usage)
