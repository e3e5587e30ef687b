// Holds what the starts after damage said and did against the book of what was promised.
#pragma once

#include "tests/crash/damage/cut.hpp"
#include "tests/crash/damage/life.hpp"

#include <string>
#include <vector>

namespace penstock::damage {

/// What is wrong, and was not said.
struct fault {
  std::string what; ///< "event lost", …
  std::string detail;
};

/// All that happened in one case: the check, then three starts. The first takes new events; the
/// second confirms all; after that there is nothing left to say.
struct story {
  std::filesystem::path dir;
  checked check;
  bool check_changed_something = false;
  sent_events added;
  life first, second, third;
  /// Where the first refuses: a start after what was damaged was put back. The refusal must cost
  /// nothing.
  life mended;
};

story tell(const base& of, const cut& done, const std::filesystem::path& dir,
           const std::filesystem::path& scratch);

std::vector<fault> judge(const book& truth, const story& seen);

/// Why a silent case is not counted as a fault of the product; nothing if it is.
struct excuse {
  const char* name;
  const char* reason;
};
const std::vector<excuse>& excuses();
/// The name of the one that covers a fault after this cut; "" if none does.
std::string excuse_for(const cut& done, const fault& wrong);

} // namespace penstock::damage
