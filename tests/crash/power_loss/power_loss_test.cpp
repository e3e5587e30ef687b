// Every event whose commit() returned is there after the power failed at any moment; and the check
// itself notices when the sync, or the order of commit and answer, is taken out.
#include "../../unit/storage/support.hpp"
#include "fragile_disk.hpp"
#include "storage/journal/segment_mover.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <random>
#include <utility>
#include <vector>

using namespace penstock;
using namespace penstock::test;

namespace {

constexpr auto time_budget = std::chrono::seconds{8};
constexpr std::size_t fewest_runs = 20; // on a machine busy with something else, too
constexpr std::size_t most_runs = 2000;
constexpr std::size_t runs_of_a_broken_journal = 20;

struct rules {
  bool sync = true;
  bool answer_before_commit = false;
  bool forget_moves = false; ///< what is owed of a segment is not moved, but goes with it
};

/// Some blocks that a sink has not taken yet, by their first number.
class some_blocks final : public backlog_events {
 public:
  explicit some_blocks(const std::map<std::uint64_t, event_block>& blocks) : blocks_(blocks) {}
  portion between(const std::string& stream, std::uint64_t first,
                  std::uint64_t last) const override {
    const auto begin = blocks_.lower_bound(first);
    const auto end = blocks_.upper_bound(last);
    const bool any =
        std::any_of(begin, end, [&](auto& one) { return one.second.stream == stream; });
    return any ? portion::some : portion::none;
  }
  bool is_in_backlog(const std::string&, std::uint64_t seq, std::uint64_t) const override {
    auto at = blocks_.upper_bound(seq);
    return at != blocks_.begin() && seq <= (--at)->second.last_seq();
  }

 private:
  const std::map<std::uint64_t, event_block>& blocks_;
};

/// One directory that lives through several power cuts.
class power_loss_run {
 public:
  power_loss_run(std::uint64_t seed, rules how) : random_(seed), how_(how), dir_(fast_directory()) {
    options_ = options_in(dir_.path());
    options_.vfs = fragile_disk::vfs_name;
    options_.sync = how.sync;
    options_.segment_max_bytes = 256 << 10;
    options_.preallocate = seed % 2 == 0;
    options_.max_unjournaled_events = 1000;
    fragile_disk::instance();
  }

  /// Gives what is wrong, in words; empty when every promise was kept.
  std::string run() {
    const auto lives = 2 + random_() % 4;
    for (std::uint64_t life = 0; life < lives; ++life) {
      disk().fail_after(random_() % 400);
      live();
      disk().restart(random_);
    }
    recovery_report report;
    auto log = open_journal(options_, &report);
    auto wrong = check(*log);
    for (const auto& sentence : report.damaged)
      wrong = "reported as damaged: " + sentence + "\n" + wrong;
    log.reset();
    disk().restart(random_);
    return wrong;
  }

 private:
  static fragile_disk& disk() { return fragile_disk::instance(); }
  static std::filesystem::path fast_directory() {
    const std::filesystem::path memory = "/dev/shm"; // the syncs that count are simulated
    return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
  }

  event_block random_block() {
    event_block block;
    block.first_seq = next_seq_;
    block.time_ms = some_time_ms;
    block.stream = random_() % 4 == 0 ? "errors" : "default";
    const auto n = 1 + random_() % (random_() % 8 == 0 ? 200 : 12);
    for (std::uint64_t i = 0; i < n; ++i) {
      std::string body(random_() % 600, '\0');
      for (std::size_t at = 0; at + 8 <= body.size(); at += 8) {
        const std::uint64_t word = random_();
        std::memcpy(body.data() + at, &word, sizeof word);
      }
      block.push(body, i % 2 == 0 ? "a/b" : "c/d", random_(), i % 3 == 0 ? R"({"k":"v"})" : "");
    }
    next_seq_ += n;
    return block;
  }

  /// Commits until the power fails, or for a bounded number of commits.
  void live() {
    auto opened = journal::open(options_);
    if (!opened) return; // the power failed while it started
    auto& log = **opened;
    if (tag_.empty()) tag_ = log.tag();
    auto keeper = segment_keeper::make(log, options_);
    next_seq_ = log.next_seq();
    for (int commits = 0; commits < 200 && !disk().failed(); ++commits) {
      std::vector<event_block> group(1 + random_() % 3);
      for (auto& block : group) {
        block = random_block();
        if (!log.append(block)) return;
        if (how_.answer_before_commit) promise(block);
      }
      if (!log.commit()) return;
      if (!how_.answer_before_commit)
        for (const auto& block : group)
          promise(block);
      if (random_() % 16 == 0) (void)keeper->prepare();
      if (log.wants_rotation() && !log.rotate()) return;
      if (random_() % 24 == 0) deliver(log, *keeper);
    }
  }

  void promise(const event_block& block) { promised_.emplace(block.first_seq, block); }

  /// A sink takes everything but some blocks, and what it has taken may go.
  void deliver(journal& log, segment_keeper& keeper) {
    if (!check(log).empty()) return; // the promises stay, and are missed in the end
    const bool all = random_() % 4 == 0;
    std::erase_if(promised_, [&](const auto&) { return all || random_() % 64 != 0; });
    if (!log.rotate()) return;
    make_room(log, keeper);
  }

  /// Of segments in which nothing is owed nothing is kept, of others what is owed.
  void make_room(journal& log, segment_keeper& keeper) {
    const some_blocks backlog{promised_};
    std::vector<segment_info> neighbours;
    const auto move = [&] {
      if (!neighbours.empty() && !how_.forget_moves)
        (void)keeper.move(std::exchange(neighbours, {}), backlog, options_.segment_max_bytes);
    };
    for (const auto& segment : log.catalog()->list()) {
      const bool owes = std::ranges::any_of(segment.events, [&](const auto& stream) {
        return backlog.between(stream.first, segment.first_seq, segment.last_seq) !=
               backlog_events::portion::none;
      });
      if (!segment.sealed || neighbours.size() == 3) move();
      if (!segment.sealed) continue;
      if (owes && !how_.forget_moves)
        neighbours.push_back(segment);
      else
        (void)keeper.retire_these({segment});
    }
    move();
  }

  std::string check(journal& log) {
    std::map<std::uint64_t, std::shared_ptr<const event_block>> found;
    for (const auto* stream : {"default", "errors"}) {
      auto reader = journal_reader::make(log.catalog(), options_.vfs);
      auto read = reader->read(stream, 0, no_limit_bytes);
      if (!read) return "can't read: " + read.error().message + "\n";
      for (const auto& block : *read)
        if (!found.emplace(block->first_seq, block).second) return "a block came twice\n";
    }
    std::string wrong;
    if (!tag_.empty() && log.tag() != tag_) wrong += "the tag has changed\n";
    for (const auto& [seq, block] : promised_) {
      const auto at = found.find(seq);
      if (at == found.end())
        wrong += "block " + std::to_string(seq) + " is gone\n";
      else if (!same(block, *at->second))
        wrong += "block " + std::to_string(seq) + " differs\n";
    }
    return wrong;
  }

  static bool same(const event_block& a, const event_block& b) {
    if (a.size() != b.size() || a.bodies != b.bodies || a.stream != b.stream) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
      if (a.events[i].end != b.events[i].end || a.events[i].client != b.events[i].client ||
          a.content_types[a.events[i].type] != b.content_types[b.events[i].type] ||
          a.attributes[a.events[i].attributes] != b.attributes[b.events[i].attributes])
        return false;
    return true;
  }

  std::mt19937_64 random_;
  rules how_;
  temporary_dir dir_;
  journal_options options_;
  std::string tag_;
  std::uint64_t next_seq_ = 1;
  std::map<std::uint64_t, event_block> promised_;
};

std::size_t runs_with_losses(rules how) {
  std::size_t losses = 0;
  for (std::uint64_t seed = 1; seed <= runs_of_a_broken_journal; ++seed)
    if (!power_loss_run{seed, how}.run().empty()) ++losses;
  return losses;
}

} // namespace

TEST_CASE("no power cut loses what was committed", "[power_loss]") {
  const auto began = std::chrono::steady_clock::now();
  const std::uint64_t first_seed = std::random_device{}();
  std::size_t runs = 0;
  while (runs < fewest_runs ||
         (runs < most_runs && std::chrono::steady_clock::now() - began < time_budget)) {
    const auto seed = first_seed + runs++;
    const auto wrong = power_loss_run{seed, {}}.run();
    if (!wrong.empty()) FAIL("seed " << seed << ":\n" << wrong);
  }
  WARN(runs << " runs, seeds from " << first_seed);
}

TEST_CASE("the check notices a missing sync", "[power_loss][slow]") {
  CHECK(runs_with_losses({.sync = false}) > 0);
}

TEST_CASE("the check notices an answer before the commit", "[power_loss][slow]") {
  CHECK(runs_with_losses({.answer_before_commit = true}) > 0);
}

TEST_CASE("the check notices an owed block that goes with its segment", "[power_loss][slow]") {
  CHECK(runs_with_losses({.forget_moves = true}) > 0);
}
