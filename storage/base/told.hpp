// What a client may be told of an error.
#pragma once

#include "storage/base/result.hpp"

#include <string>
#include <string_view>

namespace penstock {

/// What the error of a cap on dead letters begins with: it has the code of a full disk, but is
/// about a setting.
inline constexpr std::string_view dead_letters_full = "dead letters take ";

/// The error's message where it is about what the client asked for. Of one that comes from the
/// node's files, a sentence that names none of them: the message, with paths and all that the
/// system or SQLite says, is for the log.
std::string told_to_clients(const error& why);

} // namespace penstock
