#include "storage/stores/usage_copies.hpp"

#include "storage/base/files.hpp"

#include <algorithm>
#include <system_error>

namespace penstock {

namespace {

constexpr const char* copies_directory = "usage-copies";
constexpr std::string_view copy_ending = ".db";

} // namespace

std::filesystem::path usage_copies::file_of(const std::filesystem::path& dir,
                                            const std::string& origin) {
  return dir / copies_directory / (origin + std::string{copy_ending});
}

result<std::unique_ptr<usage_copies>>
usage_copies::open(const std::filesystem::path& dir, store_report* report, std::size_t max_copies) {
  std::unique_ptr<usage_copies> copies{new usage_copies{dir, max_copies}};
  const auto place = dir / copies_directory;
  if (auto made = make_directory(place); !made) return made.error();
  std::error_code failed;
  std::filesystem::directory_iterator files{place, failed};
  if (failed) return error{errc::io, place.string() + ": " + failed.message()};
  for (const auto& file : files) {
    const auto origin = file.path().stem().string();
    if (file.path().extension() != copy_ending || !is_usage_origin(origin)) continue;
    if (auto store = copies->store_of(origin, report); !store) return store.error();
  }
  return copies;
}

result<usage_store*> usage_copies::store_of(const std::string& origin, store_report* report) {
  const auto known = std::find_if(open_.begin(), open_.end(),
                                  [&](const auto& one) { return one.first == origin; });
  if (known != open_.end()) {
    open_.splice(open_.begin(), open_, known);
    return open_.front().second.get();
  }
  auto store = usage_store::open_copy(file_of(dir_, origin), origin, report);
  if (!store) return store.error();
  if (open_.size() >= max_open_usage_copies) open_.pop_back();
  open_.emplace_front(origin, std::move(*store));
  note(origin, *open_.front().second);
  return open_.front().second.get();
}

void usage_copies::note(const std::string& origin, const usage_store& store) {
  all_[origin] = {store.about(), store.names(), store.rows()};
}

result<bool> usage_copies::raise(std::span<const usage_state> rows, const usage_about& about) {
  if (!is_usage_origin(about.origin)) return error{errc::invalid, "this is no origin of usage"};
  if (!all_.contains(about.origin) && all_.size() >= max_copies_)
    return error{errc::unavailable, "the usage of " + std::to_string(max_copies_) +
                                        " nodes is kept here, and of no more"};
  auto store = store_of(about.origin);
  if (!store) return store.error();
  auto raised = (*store)->raise(rows, about);
  if (raised) note(about.origin, **store);
  return raised;
}

result<std::vector<usage_state>> usage_copies::states_after(const std::string& origin,
                                                            usage_key& last, std::size_t max) {
  if (!all_.contains(origin)) return error{errc::not_found, "there is no such copy"};
  auto store = store_of(origin);
  if (!store) return store.error();
  return (*store)->states_after(last, max);
}

result<bool> usage_copies::trim(const usage_retention& keep, std::int64_t now_ms,
                                std::size_t max_rows) {
  if (all_.empty()) return false;
  auto next = all_.upper_bound(trimmed_);
  if (next == all_.end()) next = all_.begin();
  const auto origin = trimmed_ = next->first;
  auto store = store_of(origin);
  if (!store) return store.error();
  auto share = keep;
  std::uint64_t rows = 0;
  for (const auto& [one, copy] : all_)
    rows += copy.rows;
  // Only when all together are too many do those that have more than their share give some up.
  if (rows > keep.max_rows) share.max_rows = keep.max_rows / all_.size();
  auto more = (*store)->trim(share, now_ms, max_rows);
  if (!more) return more.error();
  note(origin, **store);
  return *more;
}

} // namespace penstock
