// Whose data directory it is: the node's name, kept beside its journal.
#pragma once

#include <filesystem>
#include <string>

namespace penstock {

/// Notes the name of the node that runs on `dir`. Nothing but `adopt` needs it, so that a disk that
/// is full, say, is no reason not to start: errors are ignored.
void keep_node_name(const std::filesystem::path& dir, const std::string& name);

/// The name noted last; "" when there is none.
std::string kept_node_name(const std::filesystem::path& dir);

} // namespace penstock
