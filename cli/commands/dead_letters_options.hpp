// What commands about dead letters share: which letters are meant.
#pragma once

#include "cli/client/admin_call.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

struct letters_options {
  admin_options admin;
  std::string sink, stream, from, to;
  std::vector<std::string> ids;
  bool all = false;
  bool json = false;
};

/// Adds --sink, --stream, --json and those of the admin plane.
void add_letters_options(CLI::App& command, letters_options& options);
/// Adds --from and --to.
void add_letters_times(CLI::App& command, letters_options& options);
/// Adds ID… and --all.
void add_letters_choice(CLI::App& command, letters_options& options);

/// "/v1/admin/dead-letters/export?sink=…&limit=…&after=…"
std::string letters_target(const letters_options& options, const std::string& path,
                           std::uint32_t limit, std::uint64_t after);

/// The body that says which letters are meant. Errors: invalid when nothing was said.
result<boost::json::object> letters_choice(const letters_options& options);

} // namespace penstock
