#include "storage/check/data_dir_check.hpp"

#include "storage/base/file_list.hpp"
#include "storage/base/files.hpp"
#include "storage/events/event_id.hpp"
#include "storage/journal/idempotency_store.hpp"
#include "storage/journal/journal.hpp"
#include "storage/journal/journal_place.hpp"
#include "storage/journal/recovery.hpp"
#include "storage/journal/replica_store.hpp"
#include "storage/journal/segment.hpp"
#include "storage/stores/account_store.hpp"
#include "storage/stores/counter_store.hpp"
#include "storage/stores/cursor_store.hpp"
#include "storage/stores/dead_letter_store.hpp"
#include "storage/stores/replay_store.hpp"
#include "storage/stores/store_opening.hpp"
#include "storage/stores/usage_copies.hpp"
#include "storage/stores/usage_store.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t no_cap_bytes = 1ull << 62; // a check adds nothing
constexpr std::size_t letters_read_at_once = 1000;

/// What was set aside earlier, or holds nothing.
bool is_left_out(const fs::path& path) {
  const auto name = path.filename().string();
  return name == damaged_dir_name || name.ends_with(".reserve") ||
         name.find(".adopted") != std::string::npos ||
         (name.starts_with("spare-") && name.ends_with(".wal"));
}

/// A file, and its name in a copy.
struct original_file {
  fs::path from;
  fs::path to;
};

/// What a copy has to hold, the directories first.
struct original_files {
  std::vector<fs::path> directories; ///< as they are named in the copy
  std::vector<original_file> files;
  std::uint64_t bytes = 0;
};

/// Links that a node follows, since it opens what has such a name.
bool is_followed(const fs::path& name) {
  return name == "journal" || name == "replicas" || name == "client-secret" ||
         name == "client-secret.sha256" || name.extension() == ".db";
}

result<void> add_file(const fs::path& from, const fs::path& to, original_files& found) {
  found.files.push_back({from, to});
  found.bytes += file_bytes(from);
  if (found.files.size() + found.directories.size() <= max_checked_files) return {};
  return error{errc::io, from.parent_path().string() + " holds more than " +
                             std::to_string(max_checked_files) + " files"};
}

/// All below `dir`, which a copy has as `name`. Links in it are not followed.
result<void> add_directory(const fs::path& dir, const fs::path& name, original_files& found) {
  std::error_code fault;
  for (fs::recursive_directory_iterator at{dir, fault}, end; !fault && at != end;
       at.increment(fault)) {
    if (is_left_out(at->path())) {
      at.disable_recursion_pending();
      continue;
    }
    const auto to = (name / at->path().lexically_relative(dir)).lexically_normal();
    const auto status = at->symlink_status(fault);
    if (fs::is_directory(status)) found.directories.push_back(to);
    if (!fs::is_regular_file(status)) continue;
    if (auto added = add_file(at->path(), to, found); !added) return added;
  }
  if (fault) return error{errc::io, "can't list " + dir.string() + ": " + fault.message()};
  return {};
}

/// A store's log and shared memory lie beside the file, not beside the link.
result<void> add_linked(const fs::path& link, original_files& found) {
  std::error_code fault;
  const auto target = fs::canonical(link, fault);
  if (fault)
    return error{errc::io,
                 link.string() + " is a symbolic link to what can't be found: " + fault.message()};
  const auto name = link.filename();
  if (fs::is_directory(target, fault)) {
    found.directories.push_back(name);
    return add_directory(target, name, found);
  }
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const fs::path file = target.string() + suffix;
    if (!fs::is_regular_file(file, fault)) continue;
    if (auto added = add_file(file, name.string() + suffix, found); !added) return added;
  }
  return {};
}

result<original_files> list_original(const fs::path& dir) {
  original_files found;
  if (auto added = add_directory(dir, ".", found); !added) return added.error();
  std::error_code fault;
  for (fs::directory_iterator at{dir, fault}, end; !fault && at != end; at.increment(fault))
    if (at->is_symlink(fault) && is_followed(at->path().filename()))
      if (auto added = add_linked(at->path(), found); !added) return added.error();
  if (fault) return error{errc::io, "can't list " + dir.string() + ": " + fault.message()};
  return found;
}

/// As a node locks its journal, but makes no file.
result<unique_fd> lock_original(const fs::path& dir) {
  const error in_use{errc::locked,
                     dir.string() + " is in use: stop the node that runs on it first"};
  // Somebody may have removed the lock of a node that runs; SQLite's own locks lie on its stores.
  for (const char* store : {"cursors.db", "accounts.db"})
    if (other_process_reads(dir / store)) return in_use;
  auto fd = open_file(dir / "journal" / "lock", O_RDONLY);
  if (!fd && fd.error().code == errc::not_found) return unique_fd{};
  if (!fd) return fd;
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return system_error(dir / "journal" / "lock", "lock");
  return in_use;
}

/// Such a directory has a journal, or it says that it had one.
result<void> check_is_data_dir(const fs::path& dir) {
  // Rights that are missing are told as such.
  auto journal = open_file(dir / "journal", O_RDONLY | O_DIRECTORY);
  if (journal) return {};
  if (journal.error().code != errc::not_found) return journal.error();
  if (file_list{dir / stores_file_name}.contains("journal")) return {};
  return error{errc::not_found, dir.string() + " is no data directory of a node: give its "
                                               "node.data_dir, which has journal/ in it"};
}

class data_dir_check {
 public:
  explicit data_dir_check(const fs::path& dir) : dir_(dir), listed_(dir / stores_file_name) {
    stores_.checks_all_pages = true;
  }

  result<data_dir_report> run() {
    auto done = check_journal();
    for (const auto check : {&data_dir_check::check_cursors, &data_dir_check::check_counters,
                             &data_dir_check::check_usage, &data_dir_check::check_accounts,
                             &data_dir_check::check_idempotency, &data_dir_check::check_letters,
                             &data_dir_check::check_replays, &data_dir_check::check_replicas})
      if (done) done = (this->*check)();
    if (!done) return done.error();
    report_.damaged.insert(report_.damaged.end(), stores_.damaged.begin(), stores_.damaged.end());
    report_.torn.insert(report_.torn.end(), stores_.torn.begin(), stores_.torn.end());
    return std::move(report_);
  }

 private:
  /// What would stop a start is damage like any other here.
  template <class T>
  result<void> noted(const result<T>& outcome) {
    if (outcome) return {};
    if (outcome.error().code != errc::corrupt) return outcome.error();
    stores_.damaged.push_back(outcome.error().message);
    return {};
  }

  /// Or should be.
  bool is_there(const char* name) const {
    std::error_code fault;
    return fs::exists(dir_ / name, fault) || fs::exists(wal_path(dir_ / name), fault) ||
           listed_.contains(name);
  }

  result<void> check_journal() {
    if (auto there = miss_journal(dir_); !there) return noted(there);
    journal_options options;
    options.dir = dir_ / "journal";
    options.max_bytes = no_cap_bytes;
    options.preallocate = false;
    recovery_report found;
    auto opened = journal::open(options, &found);
    if (opened) journal_ = std::move(*opened);
    report_.events = found.events;
    report_.segments = found.segments;
    report_.damaged = std::move(found.damaged);
    report_.torn = std::move(found.torn);
    return noted(opened);
  }

  result<void> check_cursors() {
    if (!is_there("cursors.db")) return {};
    auto opened = cursor_store::open(dir_, 0, {}, &stores_);
    if (!opened) return noted(opened);
    const auto positions = (*opened)->load(&stores_.damaged);
    if (!positions || !journal_) return noted(positions);
    auto beyond = go_beyond_cursors(*journal_, *positions);
    if (beyond && !beyond->empty()) stores_.damaged.push_back(std::move(*beyond));
    return noted(beyond);
  }

  result<void> check_counters() {
    if (!is_there("counters.db")) return {};
    return noted(counter_store::open(dir_, {}, &stores_));
  }

  result<void> check_usage() {
    if (!is_there("usage.db")) return {};
    if (auto own = usage_store::open(dir_, &stores_); !own) return noted(own);
    if (!is_there("usage-copies.db")) return {};
    return noted(usage_copies::open(dir_, &stores_));
  }

  result<void> check_accounts() {
    if (!is_there("accounts.db")) return {};
    auto opened = account_store::open(dir_, {}, &stores_);
    return opened ? noted((*opened)->load()) : noted(opened);
  }

  result<void> check_idempotency() {
    if (!is_there("idempotency.db") || !journal_) return {};
    return noted(idempotency_store::open(dir_, journal_->tag(), 0, {}, &stores_));
  }

  result<void> check_replays() {
    if (!is_there("replays.db")) return {};
    return noted(replay_store::open(dir_, {}, &stores_));
  }

  result<void> check_letters() {
    if (!is_there("dead-letters.db")) return {};
    auto opened = dead_letter_store::open(dir_, default_dead_letters_bytes, {}, &stores_);
    if (!opened) return noted(opened);
    std::uint64_t damaged = 0, last = 0;
    std::string first;
    for (;;) {
      auto page = (*opened)->list({}, last, letters_read_at_once, true);
      if (!page) return noted(page);
      if (page->empty()) break;
      for (const auto& kept : *page)
        if (kept.is_damaged && damaged++ == 0) first = event_id(kept.letter.seq, kept.letter.tag);
      last = page->back().number;
    }
    if (damaged > 0)
      stores_.damaged.push_back((dir_ / "dead-letters.db").string() + ": " +
                                std::to_string(damaged) + " dead letters, the first of them " +
                                first + ", are damaged and are not sent again");
    return {};
  }

  result<void> check_replicas() {
    replica_options options;
    options.dir = dir_;
    options.max_bytes = no_cap_bytes;
    options.preallocate = false;
    return noted(replica_store::open(options, &report_.damaged, &report_.torn));
  }

  const fs::path& dir_;
  const file_list listed_;           // as it was before a store was opened
  std::unique_ptr<journal> journal_; // where it can be opened
  data_dir_report report_;
  store_report stores_;
};

} // namespace

result<fs::path> make_private_directory(std::string pattern) {
  if (::mkdtemp(pattern.data()) == nullptr) return system_error(pattern, "make directory");
  return fs::path{std::move(pattern)};
}

result<data_dir_copy> data_dir_copy::make(const fs::path& dir, const fs::path& scratch,
                                          const directory_maker& make_copy) {
  std::error_code fault;
  auto original = fs::absolute(dir, fault).lexically_normal();
  if (!original.has_filename()) original = original.parent_path();
  if (auto ours = check_is_data_dir(original); !ours) return ours.error();
  auto lock = lock_original(original);
  if (!lock) return lock.error();
  data_dir_copy copy{std::move(original), std::move(*lock)};
  if (auto filled = copy.fill(scratch, make_copy); !filled) return filled.error();
  return copy;
}

result<void> data_dir_copy::fill(const fs::path& scratch, const directory_maker& make_copy) {
  auto found = list_original(dir_);
  if (!found) return found.error();
  std::error_code fault;
  const auto room = fs::space(scratch, fault).available;
  if (fault) return error{errc::io, "can't use " + scratch.string() + ": " + fault.message()};
  if (room < found->bytes)
    return error{errc::disk_full, scratch.string() + " has room for " + std::to_string(room) +
                                      " bytes, and a copy of " + dir_.string() + " may take " +
                                      std::to_string(found->bytes)};
  auto made = make_copy((scratch / "penstock-check-XXXXXX").string());
  if (!made) return made.error();
  copy_ = std::move(*made);
  for (const auto& one : found->directories)
    // Not with those above it: who ends the process may have removed the copy.
    if (const auto to = copy_ / one; ::mkdir(to.c_str(), 0700) != 0 && errno != EEXIST)
      return system_error(to, "make directory");
  for (const auto& one : found->files)
    if (auto copied = duplicate_file(one.from, copy_ / one.to); !copied) return copied;
  return {};
}

data_dir_copy::~data_dir_copy() {
  std::error_code ignored;
  if (!copy_.empty()) fs::remove_all(copy_, ignored);
}

std::string data_dir_copy::of_original(std::string sentence) const {
  const auto& from = copy_.native();
  const auto& to = dir_.native();
  for (auto at = sentence.find(from); at != std::string::npos;
       at = sentence.find(from, at + to.size()))
    sentence.replace(at, from.size(), to);
  return sentence;
}

result<data_dir_report> open_all_stores(const fs::path& copy) {
  return data_dir_check{copy}.run();
}

} // namespace penstock
