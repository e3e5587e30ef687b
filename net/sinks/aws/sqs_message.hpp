// What SQS takes as a message, and where a queue is.
#pragma once

#include <string>
#include <string_view>

namespace penstock {

/// SQS takes the characters that XML 1.0 has. JSON text already escapes all others but U+FFFE and
/// U+FFFF, which may stand in its strings and nowhere else: they are escaped here.
void escape_for_sqs(std::string& json_text);

/// The region in an address of AWS's own, "https://sqs.eu-west-1.amazonaws.com/…"; "" if it is
/// none.
std::string region_of_queue(std::string_view queue_url);

/// "" or why SQS has no queue of such a URL: names are 1 to 80 of a-z, A-Z, 0-9, '-' and '_', and
/// those of FIFO queues end in ".fifo".
std::string queue_name_fault(std::string_view queue_url, bool is_fifo);

/// Whether it keeps order and drops repeats.
bool is_fifo_queue(std::string_view queue_url);

} // namespace penstock
