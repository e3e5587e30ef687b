// A SQLite VFS of ours that writes a commit's WAL frames with one system call.
#pragma once

#include <string>

namespace penstock {

/// Registers (once) the shim over the VFS `base` (empty: SQLite's default) and gives its name. With
/// `sync` false it drops every sync: only to show that a test notices. Thread-safe.
std::string wal_vfs(const std::string& base, bool sync = true);

} // namespace penstock
