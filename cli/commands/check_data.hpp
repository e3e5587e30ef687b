// `penstock check --data`: what is damaged in a node's data directory, and what a start would lose.
#pragma once

#include <string>

namespace penstock {

/// Prints what a node that starts on `data_dir` would say of its files, as text or JSON, without
/// changing them; `scratch_dir` is for a private copy, "" for the system's place. Gives the exit
/// code: 0 sound, or no more than a torn end; 65 damaged; 69 locked or unreadable.
int check_data(const std::string& data_dir, const std::string& scratch_dir, bool json);

} // namespace penstock
