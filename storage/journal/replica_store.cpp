#include "storage/journal/replica_store.hpp"

#include "storage/base/files.hpp"
#include "storage/base/node_name.hpp"
#include "storage/base/number_file.hpp"
#include "storage/events/event_id.hpp"
#include "storage/journal/recovery.hpp"
#include "storage/journal/segment.hpp"

#include <algorithm>
#include <limits>
#include <map>

namespace penstock {

namespace fs = std::filesystem;

namespace {

constexpr const char* replicas_dir_name = "replicas";
constexpr const char* forgotten_file = "forgotten";
constexpr const char* partial_file = "partial";
constexpr const char* adopted_suffix = ".adopted";
constexpr std::int64_t any_time_ms = std::numeric_limits<std::int64_t>::max();

/// Names of directories are made of it: it came over the network.
bool is_tag(const std::string& text) {
  return text.size() == journal_tag_size && parse_event_id(event_id(1, text));
}

/// A directory that a crash left before it had a tag holds nothing; one with segments has lost its
/// tag.
bool holds_journal(const fs::path& dir) {
  if (fs::exists(dir / tag_file_name)) return true;
  std::error_code fault;
  for (fs::directory_iterator at{dir, fault}, end; !fault && at != end; at.increment(fault))
    if (segment_number(at->path())) return true;
  return false;
}

/// The events of a block after `seq`.
event_block events_after(const event_block& block, std::uint64_t seq) {
  auto rest = block;
  std::vector<bool> keep(block.size());
  for (std::size_t i = 0; i < block.size(); ++i)
    keep[i] = block.first_seq + i > seq;
  rest.keep_only(keep);
  rest.first_seq = std::max(block.first_seq, seq + 1);
  return rest;
}

struct origin {
  std::string node;
  std::unique_ptr<journal> log;
  std::shared_ptr<segment_keeper> keeper;
  std::uint64_t appended_seq = 0; // of the last event, durable or in the open transaction
  std::uint64_t forgotten_seq = 0;
  std::uint64_t partial_seq = 0;
  std::uint64_t noted_partial_seq = 0; // on disk

  /// Up to here all is durable or not needed any more.
  std::uint64_t settled_seq() const {
    return std::max(log->catalog()->durable_seq(), forgotten_seq);
  }
};

class journals_of_origins final : public replica_store {
 public:
  explicit journals_of_origins(replica_options options) : options_(std::move(options)) {}

  result<void> start(std::vector<std::string>& problems, std::vector<std::string>& torn) {
    std::error_code fault;
    const auto dir = options_.dir / replicas_dir_name;
    if (!fs::is_directory(dir, fault)) return {};
    for (fs::directory_iterator at{dir, fault}, end; !fault && at != end; at.increment(fault)) {
      const auto tag = at->path().filename().string();
      if (!is_tag(tag) || !holds_journal(at->path() / "journal")) continue;
      auto opened = open_origin(tag, kept_node_name(at->path()), problems, torn);
      if (!opened && opened.error().code == errc::io)
        return opened; // rights or the disk, which is no damage
      if (!opened)
        problems.push_back(at->path().string() + " is left alone: " + opened.error().message);
    }
    if (fault) return error{errc::io, "can't list " + dir.string() + ": " + fault.message()};
    return {};
  }

  result<void> add_origin(const std::string& tag, const std::string& node) override {
    if (!is_tag(tag)) return error{errc::invalid, "an origin's tag has 8 characters of a-z, 2-7"};
    const auto dir = replica_dir(options_.dir, tag);
    if (const auto at = origins_.find(tag); at != origins_.end()) {
      keep_node_name(dir, node);
      at->second.node = node;
      return {};
    }
    if (origins_.size() >= options_.max_origins)
      return error{errc::unavailable, "this node holds events of " +
                                          std::to_string(options_.max_origins) +
                                          " others already, as many as it may"};
    if (auto made = make_directory(dir / "journal"); !made) return made;
    // With another's tag the journal is that one's: it draws its own only where there is none.
    const auto tag_file = dir / "journal" / tag_file_name;
    if (!fs::exists(tag_file))
      if (auto written = write_file(tag_file, tag + "\n"); !written) return written;
    if (auto synced = sync_directory(dir.parent_path()); !synced) return synced;
    keep_node_name(dir, node);
    std::vector<std::string> unheard; // of what an earlier life held and start() could not open
    return open_origin(tag, node, unheard, unheard);
  }

  result<void> append(const std::string& tag, const event_block& block) override {
    const auto at = origins_.find(tag);
    if (at == origins_.end()) return unknown(tag);
    auto& to = at->second;
    if (block.empty() || block.last_seq() <= to.appended_seq) return {};
    (void)to.log->check_place(); // where it fails, so does what follows; see commit()
    auto done = block.first_seq > to.appended_seq
                    ? to.log->append(block)
                    : to.log->append(events_after(block, to.appended_seq));
    to.appended_seq = done ? block.last_seq() : to.settled_seq();
    return done;
  }

  result<void> commit(const std::string& tag) override {
    const auto at = origins_.find(tag);
    if (at == origins_.end()) return unknown(tag);
    auto& to = at->second;
    // Who says that it holds events must be able to find them again.
    (void)to.log->check_place();
    if (auto done = to.log->commit(); !done) {
      to.appended_seq = to.settled_seq();
      return done;
    }
    // Without room for another segment this one goes on; the events are durable either way.
    if (to.log->wants_rotation()) (void)to.log->rotate();
    return {};
  }

  result<void> note_partial(const std::string& tag, std::uint64_t seq) override {
    const auto at = origins_.find(tag);
    if (at == origins_.end()) return unknown(tag);
    auto& of = at->second;
    of.partial_seq = std::max(of.partial_seq, seq); // also where it can't be noted
    if (seq <= of.noted_partial_seq) return {};
    auto noted = write_number(replica_dir(options_.dir, tag) / partial_file, of.partial_seq);
    if (noted) of.noted_partial_seq = of.partial_seq;
    return noted;
  }

  result<void> forget_up_to(const std::string& tag, std::uint64_t seq) override {
    const auto at = origins_.find(tag);
    if (at == origins_.end()) return unknown(tag);
    auto& of = at->second;
    if (seq > of.forgotten_seq) {
      if (auto noted = write_number(replica_dir(options_.dir, tag) / forgotten_file, seq); !noted)
        return noted;
      of.forgotten_seq = seq;
      of.appended_seq = std::max(of.appended_seq, seq);
    }
    const auto retired = of.keeper->retire(of.forgotten_seq, any_time_ms);
    return retired ? result<void>{} : retired.error();
  }

  std::uint64_t settled_seq(const std::string& tag) const override {
    const auto at = origins_.find(tag);
    return at == origins_.end() ? 0 : at->second.settled_seq();
  }

  std::vector<replica_info> list() const override {
    std::vector<replica_info> all;
    for (const auto& [tag, of] : origins_) {
      replica_info info{.tag = tag, .node = of.node, .forgotten_seq = of.forgotten_seq};
      info.settled_seq = of.settled_seq();
      if (of.partial_seq > of.forgotten_seq) info.partial_seq = of.partial_seq;
      info.bytes = of.log->bytes();
      for (const auto& segment : of.log->catalog()->list()) {
        if (info.first_seq == 0) info.first_seq = segment.first_seq;
        for (const auto& [stream, events] : segment.events)
          info.events += events;
      }
      all.push_back(std::move(info));
    }
    return all;
  }

  std::shared_ptr<segment_catalog> catalog(const std::string& tag) const override {
    const auto at = origins_.find(tag);
    return at == origins_.end() ? nullptr : at->second.log->catalog();
  }

  std::shared_ptr<segment_keeper> keeper(const std::string& tag) const override {
    const auto at = origins_.find(tag);
    return at == origins_.end() ? nullptr : at->second.keeper;
  }

  const replica_options& options() const override { return options_; }

  result<void> release(const std::string& tag) override {
    const auto at = origins_.find(tag);
    if (at == origins_.end()) return unknown(tag);
    auto closed = at->second.log->close();
    origins_.erase(at);
    return closed;
  }

  result<void> remove(const std::string& tag) override {
    if (!is_tag(tag)) return unknown(tag);
    if (origins_.contains(tag)) (void)release(tag);
    std::error_code fault;
    const auto dir = replica_dir(options_.dir, tag);
    // Else a kill on the way leaves a list of segments that are gone.
    remove_file(dir / "journal" / segments_file_name);
    (void)sync_directory(dir / "journal");
    fs::remove_all(dir, fault);
    if (fault) return error{errc::io, "can't delete " + dir.string() + ": " + fault.message()};
    return {};
  }

  result<void> set_aside(const std::string& tag) override {
    if (!is_tag(tag)) return unknown(tag);
    if (origins_.contains(tag)) (void)release(tag);
    std::error_code fault;
    const auto dir = replica_dir(options_.dir, tag);
    auto aside = dir;
    aside += adopted_suffix; // no tag: never opened again
    for (int again = 2; fs::exists(aside, fault); ++again)
      aside = dir.string() + adopted_suffix + '-' + std::to_string(again);
    fs::rename(dir, aside, fault);
    if (fault) return error{errc::io, "can't rename " + dir.string() + ": " + fault.message()};
    return sync_directory(dir.parent_path());
  }

 private:
  static error unknown(const std::string& tag) {
    return {errc::not_found, "no events are held of the journal " + tag};
  }

  result<void> open_origin(const std::string& tag, const std::string& node,
                           std::vector<std::string>& problems, std::vector<std::string>& torn) {
    journal_options options;
    const auto dir = replica_dir(options_.dir, tag);
    options.dir = dir / "journal";
    options.max_bytes = options_.max_bytes;
    options.segment_max_bytes = options_.segment_max_bytes;
    options.preallocate = options_.preallocate;
    options.vfs = options_.vfs;
    options.sync = options_.sync;
    recovery_report found;
    auto opened = journal::open(options, &found);
    if (!opened) return opened.error();
    problems.insert(problems.end(), found.damaged.begin(), found.damaged.end());
    torn.insert(torn.end(), found.torn.begin(), found.torn.end());
    if ((*opened)->tag() != tag)
      return error{errc::corrupt, "its journal has the tag " + (*opened)->tag()};
    auto& of = origins_[tag];
    of.node = node;
    of.log = std::move(*opened);
    of.keeper = segment_keeper::make(*of.log, options);
    const auto told = problems.size();
    of.forgotten_seq = forgotten_in(dir, &problems);
    // So that the next start does not tell it again; where it fails, it does.
    if (problems.size() > told) (void)write_number(dir / forgotten_file, of.forgotten_seq);
    of.appended_seq = of.settled_seq();
    read_partial(tag, !found.damaged.empty(), problems);
    return {};
  }

  /// What recovery finds it tells once, so that it is noted.
  void read_partial(const std::string& tag, bool is_damaged, std::vector<std::string>& problems) {
    auto& of = origins_.at(tag);
    const auto file = replica_dir(options_.dir, tag) / partial_file;
    const auto stored = read_number(file);
    if (stored && *stored) of.partial_seq = of.noted_partial_seq = (*stored)->value;
    const bool is_not_noted = !stored && stored.error().code == errc::not_found;
    // What an adoption found, and could not say, is known by what it put there.
    const bool is_untold =
        is_not_noted && has_damaged_files(replica_dir(options_.dir, tag) / "journal");
    const bool is_unreadable = stored ? !*stored : !is_not_noted;
    if (is_unreadable)
      problems.push_back(file.string() +
                         " can't be read: all that is held of its node counts as not "
                         "whole, so that others keep what they hold of it");
    if (is_damaged || is_untold || is_unreadable)
      if (auto noted = note_partial(tag, of.settled_seq()); !noted)
        problems.push_back(noted.error().message);
  }

  replica_options options_;
  std::map<std::string, origin> origins_; // by tag
};

} // namespace

fs::path replica_dir(const fs::path& dir, const std::string& tag) {
  return dir / replicas_dir_name / tag;
}

std::uint64_t forgotten_in(const fs::path& replica, std::vector<std::string>* damaged) {
  const auto file = replica / forgotten_file;
  const auto stored = read_number(file);
  if (stored && *stored) return (*stored)->value;
  if (stored && damaged != nullptr)
    damaged->push_back(file.string() +
                       " is damaged: what its node had published already is not known, and "
                       "all that is held of it counts as needed");
  return 0;
}

result<std::unique_ptr<replica_store>> replica_store::open(const replica_options& options,
                                                           std::vector<std::string>* problems,
                                                           std::vector<std::string>* torn) {
  auto store = std::make_unique<journals_of_origins>(options);
  std::vector<std::string> unheard;
  if (auto started = store->start(problems != nullptr ? *problems : unheard,
                                  torn != nullptr ? *torn : unheard);
      !started)
    return started.error();
  return std::unique_ptr<replica_store>{std::move(store)};
}

} // namespace penstock
