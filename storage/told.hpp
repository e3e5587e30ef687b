// What a client may be told of an error.
#pragma once

#include "storage/result.hpp"

#include <string>

namespace penstock {

/// The error's message where it is about what the client asked for. Of one that comes from the
/// node's files, a sentence that names none of them: the message, with paths and all that the system
/// or SQLite says, is for the log.
std::string told_to_clients(const error& why);

} // namespace penstock
