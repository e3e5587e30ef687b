// What extensions are told, if they subscribed: all within a node, never serialised.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/base/drain_status.hpp"
#include "actors/base/subscription.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "storage/events/event_block.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace penstock {

/// Events that are durable now, in the order of the journal; a row has events of one stream. `lost`
/// counts events.
struct durable_rows {
  std::vector<std::shared_ptr<const event_block>> rows;
};
using durable_rows_ptr = std::shared_ptr<const told_content<durable_rows>>;

/// What limits decided of the requests of one front end and turn. `lost` counts requests.
struct turn_verdicts {
  struct one {
    std::uint32_t plan = 0;    ///< plan_id()
    std::uint32_t asked = 0;   ///< events
    std::uint32_t granted = 0; ///< of these
    std::uint8_t reason = 0;   ///< why not all; see refusal
  };
  std::vector<one> requests;
};
using turn_verdicts_ptr = std::shared_ptr<const told_content<turn_verdicts>>;

/// A drain is at this stage now.
struct drain_entered {
  drain_stage stage = drain_stage::serving;
};

/// To the journal: `who` wants durable_rows_ptr of those streams from now on.
struct subscribe_rows {
  rows_listener_handle who;
  std::shared_ptr<subscription_window> window;
  stream_filter wants;
};
/// To a front end: `who` wants turn_verdicts_ptr from now on.
struct subscribe_verdicts {
  verdicts_listener_handle who;
  std::shared_ptr<subscription_window> window;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::durable_rows_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::turn_verdicts_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::drain_entered)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::subscribe_rows)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::subscribe_verdicts)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_extensions, caf::first_custom_type_id + 290)
CAF_ADD_TYPE_ID(penstock_extensions, (penstock::durable_rows_ptr))
CAF_ADD_TYPE_ID(penstock_extensions, (penstock::turn_verdicts_ptr))
CAF_ADD_TYPE_ID(penstock_extensions, (penstock::drain_entered))
CAF_ADD_TYPE_ID(penstock_extensions, (penstock::subscribe_rows))
CAF_ADD_TYPE_ID(penstock_extensions, (penstock::subscribe_verdicts))
CAF_END_TYPE_ID_BLOCK(penstock_extensions)
