// The subcommands of `penstock`, one file each.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace penstock {

/// Each adds one subcommand to `app`; when it is chosen, it runs during parsing and leaves its
/// exit code in `exit`, which must outlive the parsing.
void add_run_command(CLI::App& app, int& exit);
void add_adopt_command(CLI::App& app, int& exit);
void add_check_command(CLI::App& app, int& exit);
void add_consume_command(CLI::App& app, int& exit);
void add_drain_command(CLI::App& app, int& exit);
void add_status_command(CLI::App& app, int& exit);
void add_usage_command(CLI::App& app, int& exit);
void add_key_command(CLI::App& app, int& exit);
void add_plan_command(CLI::App& app, int& exit);
void add_dead_letters_command(CLI::App& app, int& exit);
void add_replay_command(CLI::App& app, int& exit);
void add_version_command(CLI::App& app, int& exit);

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
