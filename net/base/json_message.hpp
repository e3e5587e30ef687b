// Queue messages as the admin plane gives them out.
#pragma once

#include "actors/queue/queue_messages.hpp"

#include <string>
#include <string_view>

namespace penstock {

/// {"messages":[{"receipt":…,"id":…,"time":…,"content_type":…,"data" or "data_base64":…,
/// "attributes":{…}},…]}. `tag`: the journal's, for the ids. Messages that were read again have no
/// receipt, and "next" tells where to go on.
std::string messages_json(const queue_delivery& delivery, std::string_view tag, bool replay);

} // namespace penstock
