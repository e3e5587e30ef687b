// Writes a damaged directory, and the book of what was promised, for a judge that runs the program.
#pragma once

#include "tests/crash/damage/cut.hpp"

namespace penstock::damage {

/// `place`/data and `place`/book.json: what was done, the events by id, the dead letters, the keys,
/// and which faults are excused.
void export_case(const base& of, const cut& done, const std::filesystem::path& place);

} // namespace penstock::damage
