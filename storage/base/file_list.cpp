#include "storage/base/file_list.hpp"

#include "storage/base/checksum.hpp"
#include "storage/base/files.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace penstock {

namespace {

constexpr std::size_t list_check_letters = 16;

/// Nothing where it is not whole.
std::set<std::string> parse(std::string_view text) {
  constexpr auto check_line = list_check_letters + 1;
  if (text.size() < check_line || text.back() != '\n') return {};
  auto lines = text.substr(0, text.size() - check_line);
  if (text.substr(lines.size(), list_check_letters) != checksum_letters(lines, list_check_letters))
    return {};
  std::set<std::string> names;
  while (!lines.empty()) {
    const auto end = std::min(lines.find('\n'), lines.size());
    names.emplace(lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return names;
}

} // namespace

file_list::file_list(std::filesystem::path file) : file_(std::move(file)) {
  if (file_bytes(file_) > max_file_bytes) return;
  if (const auto text = read_file(file_, max_file_bytes)) names_ = parse(*text);
}

std::set<std::string> file_list::names() const {
  const std::lock_guard lock{mutex_};
  return names_;
}

bool file_list::contains(const std::string& name) const {
  const std::lock_guard lock{mutex_};
  return names_.contains(name);
}

result<void> file_list::set(std::set<std::string> names) {
  const std::lock_guard lock{mutex_};
  if (names == names_ && !is_dirty_) return {};
  names_ = std::move(names);
  return write_locked();
}

result<void> file_list::add(const std::string& name) {
  const std::lock_guard lock{mutex_};
  return names_.insert(name).second || is_dirty_ ? write_locked() : result<void>{};
}

result<void> file_list::drop(const std::vector<std::string>& names) {
  const std::lock_guard lock{mutex_};
  std::size_t dropped = 0;
  for (const auto& name : names)
    dropped += names_.erase(name);
  return dropped > 0 || is_dirty_ ? write_locked() : result<void>{};
}

result<void> file_list::write_locked() {
  is_dirty_ = true;
  std::string text;
  for (const auto& name : names_)
    text += name + '\n';
  text += checksum_letters(text, list_check_letters) + '\n';
  if (names_.size() <= max_names && text.size() <= max_file_bytes && write_file(file_, text)) {
    is_dirty_ = false;
    return {};
  }
  remove_file(file_);
  if (std::filesystem::exists(file_))
    return error{errc::io, "can't write or remove " + file_.string()};
  auto removed = sync_directory(file_.parent_path());
  is_dirty_ = !removed;
  return removed;
}

} // namespace penstock
