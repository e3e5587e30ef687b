// What the program's exit codes mean (sysexits.h).
#pragma once

namespace penstock {

enum exit_code : int {
  exit_ok = 0,
  exit_usage = 64,       ///< the command line is wrong
  exit_data = 65,        ///< stored data is damaged
  exit_unavailable = 69, ///< a service that is needed can't be reached or refuses
  exit_internal = 70,    ///< our fault
  exit_config = 78,      ///< the configuration is wrong
};

} // namespace penstock
