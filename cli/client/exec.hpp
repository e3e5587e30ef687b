// Running a user's command for one message.
#pragma once

#include "storage/base/result.hpp"

#include <map>
#include <string>
#include <string_view>

namespace penstock {

/// Runs `command` with /bin/sh, `input` on its stdin and `variables` added to the environment, and
/// waits for its end. Gives its exit code, 128 + the signal when one ended it. Errors: io, when it
/// can't be started.
result<int> run_shell_command(const std::string& command, std::string_view input,
                              const std::map<std::string, std::string>& variables);

} // namespace penstock
