// A progress bar for long work: on stderr, and only where that is a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace penstock {

struct progress {
  std::string label; ///< what is done, "r7"
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  double elapsed_s = 0; ///< in which `since_start` were done
  std::uint64_t since_start = 0;
  std::string note{}; ///< why it stands still, say
};

/// One line of at most `width` columns: "r7 [#####-----]  50% 500/1000 120/s 4s left". Pure.
std::string progress_line(const progress& state, std::size_t width);

/// Draws over its line again and again.
class progress_bar {
 public:
  progress_bar();
  /// Takes the line away.
  ~progress_bar();
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  bool is_terminal() const { return terminal_; }
  /// Does nothing where stderr is no terminal.
  void show(const progress& state);
  void clear();

 private:
  bool terminal_;
  bool drawn_ = false;
};

} // namespace penstock
