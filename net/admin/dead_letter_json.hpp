// Dead letters and jobs as the admin plane tells them.
#pragma once

#include "actors/dead_letters/dead_letter_messages.hpp"

#include <string>
#include <string_view>

namespace penstock {

/// {"id":…,"sink":…,"stream":…,"time":…,"died":…,"tries":…,"reason":…,"size":…,"number":…}; with
/// the body also "content_type", "attributes" and "data" or "data_base64".
void append_letter(std::string& out, const kept_dead_letter& kept, bool with_body);

/// {"dead_letters":[…],"totals":{"dead_letters":…,"bytes":…,"by":[…]},"next":…}; `next`, the
/// ?after= to go on with, only when there are more.
std::string letters_json(const dead_letters_page& page);
/// With bodies, one a line.
std::string letters_ndjson(const dead_letters_page& page);

/// {"job":"r7","kind":…,"stream":…,"sink":…,"rate":…,"total":…,"sent":…,"refused":…,"state":…,
/// "why":…,"created":…,"changed":…}; of a replay also "from", "to" and "next", as ids with the
/// journal's tag. "job" is null for one that was never kept.
std::string job_json(const delivery_job& job, std::string_view tag);

} // namespace penstock
