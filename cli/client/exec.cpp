#include "cli/client/exec.hpp"

#include <cerrno>
#include <cstring>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace penstock {
namespace {

error failure(const char* what, int number) {
  return {errc::io, std::string{what} + ": " + std::strerror(number)};
}

// A file in memory instead of a pipe: a command that reads late or never blocks nobody.
result<int> open_input(std::string_view input) {
  const int file = memfd_create("penstock-message", MFD_CLOEXEC);
  if (file < 0) return failure("memfd_create", errno);
  while (!input.empty()) {
    const auto written = write(file, input.data(), input.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const auto why = errno;
      close(file);
      return failure("write", why);
    }
    input.remove_prefix(static_cast<std::size_t>(written));
  }
  lseek(file, 0, SEEK_SET);
  return file;
}

// The process's environment without the variables that are given anew, and those.
std::vector<std::string> make_environment(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> entries;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text{*entry};
    if (!variables.contains(std::string{text.substr(0, text.find('='))}))
      entries.emplace_back(text);
  }
  for (const auto& [name, value] : variables)
    entries.push_back(name + '=' + value);
  return entries;
}

result<int> wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return failure("waitpid", errno);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

} // namespace

result<int> run_shell_command(const std::string& command, std::string_view input,
                              const std::map<std::string, std::string>& variables) {
  const auto file = open_input(input);
  if (file.has_error()) return file.error();
  auto entries = make_environment(variables);
  std::vector<char*> environment;
  for (auto& entry : entries)
    environment.push_back(entry.data());
  environment.push_back(nullptr);
  std::string shell = "sh", flag = "-c", line = command;
  char* arguments[] = {shell.data(), flag.data(), line.data(), nullptr};

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, *file, STDIN_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults; // we ignore SIGPIPE; the command should not
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  const int failed =
      posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments, environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(*file);
  if (failed != 0) return failure("/bin/sh", failed);
  return wait_for(child);
}

} // namespace penstock
