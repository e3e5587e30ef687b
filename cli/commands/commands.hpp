// The subcommands of `penstock`, one file each.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace penstock {

// The commands themselves are in the list of command_line.cpp. Those here are below one of them:
// each adds itself to it as they add themselves to `penstock`.

/// What is below `usage`, `key` and `plan`.
void add_usage_rebuild_command(CLI::App& app, int& exit);
void add_key_create_command(CLI::App& app, int& exit);
void add_key_list_command(CLI::App& app, int& exit);
void add_key_revoke_command(CLI::App& app, int& exit);
void add_plan_list_command(CLI::App& app, int& exit);
void add_plan_set_command(CLI::App& app, int& exit);

/// What is below `dead-letters` and `replay`.
void add_dead_letters_list_command(CLI::App& app, int& exit);
void add_dead_letters_show_command(CLI::App& app, int& exit);
void add_dead_letters_export_command(CLI::App& app, int& exit);
void add_dead_letters_retry_command(CLI::App& app, int& exit);
void add_dead_letters_drop_command(CLI::App& app, int& exit);
void add_replay_job_commands(CLI::App& app, int& exit);

/// The whole command line: parses, runs, gives the exit code.
int run_command_line(int argc, const char* const* argv);

} // namespace penstock
