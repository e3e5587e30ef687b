// What a replica's commit() said to be held is there after the power failed at any moment, but for
// what its origin let go. The journal below it is put through more in power_loss_test.cpp.
#include "../../unit/storage/support.hpp"
#include "fragile_disk.hpp"
#include "storage/journal/replica_store.hpp"

#include <map>
#include <random>

using namespace penstock;
using namespace penstock::test;

namespace {

constexpr std::uint64_t replica_runs = 25;
const std::vector<std::string> origin_tags{"aaaaaaaa", "bbbbbbbb"};

class replica_power_run {
 public:
  explicit replica_power_run(std::uint64_t seed) : random_(seed) {
    fragile_disk::instance(); // registers it
    options_.dir = dir_.path();
    options_.vfs = fragile_disk::vfs_name;
    options_.segment_max_bytes = 128 << 10;
    options_.preallocate = false;
    for (const auto& tag : origin_tags)
      next_seq_[tag] = 1;
  }

  /// Gives what is wrong, in words; empty when all that was committed is held.
  std::string run() {
    auto& disk = fragile_disk::instance();
    for (int life = 0; life < 4; ++life) {
      disk.fail_after(random_() % 400);
      live(disk);
      disk.restart(random_);
      disk.never_fail();
      if (auto wrong = check(); !wrong.empty()) return wrong;
      disk.restart(random_);
    }
    return {};
  }

 private:
  void live(const fragile_disk& disk) {
    auto opened = replica_store::open(options_);
    if (!opened) return;
    auto& store = **opened;
    for (int commits = 0; commits < 150 && !disk.failed(); ++commits) {
      const auto& tag = origin_tags[random_() % origin_tags.size()];
      if (!store.add_origin(tag, "n")) return;
      // What the last life did not commit is sent again, as an origin would.
      auto& next = next_seq_[tag];
      const auto n = 1 + random_() % 20;
      if (!store.append(tag, numbered_block(next, n, "default", random_() % 900))) return;
      if (!store.commit(tag)) return;
      next += n;
      if (random_() % 32 != 0) continue;
      if (!store.forget_up_to(tag, next / 2)) return;
      forgotten_[tag] = std::max(forgotten_[tag], next / 2);
    }
  }

  std::string check() {
    std::vector<std::string> problems;
    auto store = replica_store::open(options_, &problems);
    if (!store) return store.error().message;
    for (const auto& sentence : problems) // a torn end is told as what it may be, and is none here
      if (sentence.find("a transaction that is not whole") == std::string::npos) return sentence;
    for (const auto& tag : origin_tags) {
      const auto promised = next_seq_[tag] - 1;
      if (promised == 0) continue;
      if ((*store)->settled_seq(tag) < promised) return tag + " lost its end";
      auto reader = journal_reader::make((*store)->catalog(tag), options_.vfs);
      const auto read = reader->read("default", forgotten_[tag], no_limit_bytes);
      if (!read) return read.error().message;
      std::vector<std::uint64_t> wanted, found;
      for (const auto seq : numbers(*read))
        if (seq > forgotten_[tag] && seq <= promised) found.push_back(seq);
      wanted = range(forgotten_[tag] + 1, promised);
      if (found != wanted)
        return tag + " has " + std::to_string(found.size()) + " of " +
               std::to_string(wanted.size());
    }
    return {};
  }

  std::mt19937_64 random_;
  temporary_dir dir_{std::filesystem::is_directory("/dev/shm")
                         ? std::filesystem::path{"/dev/shm"}
                         : std::filesystem::temp_directory_path()};
  replica_options options_;
  std::map<std::string, std::uint64_t> next_seq_, forgotten_;
};

} // namespace

TEST_CASE("no power cut loses what a replica has committed", "[power_loss]") {
  const std::uint64_t first_seed = std::random_device{}();
  for (std::uint64_t seed = first_seed; seed < first_seed + replica_runs; ++seed) {
    const auto wrong = replica_power_run{seed}.run();
    if (!wrong.empty()) FAIL("seed " << seed << ": " << wrong);
  }
}
