// What the directory tells, and what its writer is to do: within a node, never serialised.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/directory/directory.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "storage/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// What the directory told, to the membership actor: one of these is set.
struct directory_update {
  std::optional<member_record> member{};
  std::optional<std::string> member_gone{};
  std::optional<cluster_view> view{};
  std::uint64_t revision = 0; ///< with member, its record's; with view
  bool watching = false;
  bool away = false;
};

/// To the directory writer, before anything else: whom it tells what the directory told. The
/// membership actor gets directory_update; the accounts actor gets records.
struct directory_listeners {
  membership_handle membership;
  accounts_handle accounts;
};

/// What the directory writer is to do; answered with directory_done when it has. It blocks.
struct directory_request {
  enum class kind : std::uint8_t { open, renew, propose, leave, forget };
  kind what = kind::open;
  member_record self{};       ///< with renew and leave; with forget another's, its address only
  cluster_view next{};        ///< with propose, as is
  std::uint64_t revision = 0; ///< the last; with forget the record's
  std::int64_t sent_ns = 0;   ///< steady; comes back
};
struct directory_done {
  directory_request::kind what = directory_request::kind::open;
  std::int64_t sent_ns = 0;
  /// With renew: of the view, afterwards. With forget: of what was taken out, 0 for nothing.
  std::uint64_t revision = 0;
  error why{}; ///< if it failed
  bool ok = false;
};

// With those whose records it keeps.

/// To it: put these. At most max_records_per_put, and one such message at a time: the next comes
/// when this one was answered with records_put.
struct records_changed {
  std::vector<directory_record> records;
};
/// All of them were put; or not: then they come again some seconds later.
struct records_put {
  bool ok = true;
};
/// From it: what the directory told, in its order.
struct records_told {
  std::vector<directory_record> records;
};
/// From it: all that the directory holds was told since it was opened, or since records_away.
struct records_watched {};
/// From it: the directory is out of reach; what it told may be gone when it is back.
struct records_away {};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::directory_listeners)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::directory_update)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::directory_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::directory_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::records_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::records_put)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::records_told)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::records_watched)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::records_away)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_directory, caf::first_custom_type_id + 259)
CAF_ADD_TYPE_ID(penstock_directory, (penstock::directory_update))
CAF_ADD_TYPE_ID(penstock_directory, (penstock::directory_request))
CAF_ADD_TYPE_ID(penstock_directory, (penstock::directory_done))
CAF_END_TYPE_ID_BLOCK(penstock_directory)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_directory_listeners, caf::first_custom_type_id + 295)
CAF_ADD_TYPE_ID(penstock_directory_listeners, (penstock::directory_listeners))
CAF_END_TYPE_ID_BLOCK(penstock_directory_listeners)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_directory_records, caf::first_custom_type_id + 43)
CAF_ADD_TYPE_ID(penstock_directory_records, (penstock::records_changed))
CAF_ADD_TYPE_ID(penstock_directory_records, (penstock::records_put))
CAF_ADD_TYPE_ID(penstock_directory_records, (penstock::records_told))
CAF_ADD_TYPE_ID(penstock_directory_records, (penstock::records_watched))
CAF_ADD_TYPE_ID(penstock_directory_records, (penstock::records_away))
CAF_END_TYPE_ID_BLOCK(penstock_directory_records)
