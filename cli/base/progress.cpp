#include "cli/base/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include <sys/ioctl.h>
#include <unistd.h>

namespace penstock {
namespace {

constexpr std::size_t min_progress_bar = 10, max_progress_bar = 40;

std::string time_left(const progress& state) {
  if (state.since_start == 0 || state.elapsed_s <= 0 || state.done >= state.total) return {};
  const auto per_s = static_cast<double>(state.since_start) / state.elapsed_s;
  const auto left =
      static_cast<std::uint64_t>(static_cast<double>(state.total - state.done) / per_s + 0.5);
  if (left >= 3600) return fmt::format(" {}h{:02}m left", left / 3600, left / 60 % 60);
  if (left >= 60) return fmt::format(" {}m{:02}s left", left / 60, left % 60);
  return fmt::format(" {}s left", left);
}

} // namespace

std::string progress_line(const progress& state, std::size_t width) {
  const auto done = std::min(state.done, state.total);
  const auto percent = state.total == 0 ? 100 : done * 100 / state.total;
  auto text = fmt::format(" {:>3}% {}/{}", percent, done, state.total);
  if (state.elapsed_s > 0 && state.since_start > 0)
    text += fmt::format(" {:.0f}/s", static_cast<double>(state.since_start) / state.elapsed_s);
  text += time_left(state);
  if (!state.note.empty()) text += " " + state.note;
  const auto taken = state.label.size() + 3 + text.size();
  const auto room = width > taken ? width - taken : 0;
  auto line = state.label;
  if (room >= min_progress_bar) {
    const auto columns = std::min(room, max_progress_bar);
    const auto filled = static_cast<std::size_t>(columns * percent / 100);
    line += " [" + std::string(filled, '#') + std::string(columns - filled, '-') + "]";
  }
  return (line + text).substr(0, width);
}

progress_bar::progress_bar() : terminal_(::isatty(STDERR_FILENO) != 0) {}
progress_bar::~progress_bar() {
  clear();
}

void progress_bar::show(const progress& state) {
  if (!terminal_) return;
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  // The last column stays free: some terminals begin a new line there.
  std::cerr << "\r\x1b[K" << progress_line(state, known ? size.ws_col - 1u : 79u) << std::flush;
  drawn_ = true;
}

void progress_bar::clear() {
  if (drawn_) std::cerr << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

} // namespace penstock
