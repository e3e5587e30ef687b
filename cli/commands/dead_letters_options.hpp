// What commands about dead letters share: which letters are meant.
#pragma once

#include "cli/client/admin_call.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

struct dead_letters_choice {
  admin_options admin;
  std::string sink, stream, from, to;
  std::vector<std::string> ids;
  bool all = false;
  bool json = false;
};

/// Adds --sink, --stream, --json and those of the admin plane.
void add_dead_letters_options(CLI::App& command, dead_letters_choice& options);
/// Adds --from and --to.
void add_letters_times(CLI::App& command, dead_letters_choice& options);
/// Adds ID… and --all.
void add_letters_choice(CLI::App& command, dead_letters_choice& options);

/// "/v1/admin/dead-letters/export?sink=…&limit=…&after=…"
std::string letters_target(const dead_letters_choice& options, const std::string& path,
                           std::uint32_t limit, std::uint64_t after);

/// The body that says which letters are meant. Errors: invalid when nothing was said.
result<boost::json::object> letters_choice(const dead_letters_choice& options);

} // namespace penstock
