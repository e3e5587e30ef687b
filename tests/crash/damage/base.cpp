#include "tests/crash/damage/base.hpp"

#include "storage/journal/segment.hpp"
#include "storage/sqlite/sqlite.hpp"
#include "tests/crash/damage/world.hpp"

namespace penstock::damage {

namespace fs = std::filesystem;

namespace {

constexpr int transactions_per_segment = 22;

/// Several segments of several streams; the last is in use, and some of each is consumed.
void live(world& node, const fs::path& earlier) {
  node.fill_stores(6);
  node.send(transactions_per_segment);
  node.rotate();
  node.send(transactions_per_segment);
  node.rotate();
  node.consume(0.1);
  node.send(transactions_per_segment / 2);
  node.copy_to(earlier);
  node.send(transactions_per_segment / 2);
  node.rotate();
  node.send(transactions_per_segment / 2);
  node.fill_stores(6);
}

class base_maker {
 public:
  base_maker(fs::path under, std::uint64_t seed) : under_(std::move(under)), seed_(seed) {}

  template <class More>
  void killed(const std::string& name, bool preallocate, More more) {
    make(name, preallocate, more, true);
  }
  template <class More>
  void stopped(const std::string& name, More more) {
    make(name, true, more, false);
  }
  /// A step of a crash, by hand.
  base& last() { return bases.back(); }

  std::vector<base> bases;

 private:
  template <class More>
  void make(const std::string& name, bool preallocate, More more, bool is_killed) {
    // SQLite draws the salts of its logs: the same ones for the same seed.
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(seed_ & 0x7fffffff) + 1,
                         nullptr);
    base made;
    made.name = name;
    made.dir = under_ / name;
    made.earlier = under_ / (name + "-earlier");
    const auto place = under_ / (name + "-living");
    {
      world node{place, seed_ + bases.size(), preallocate};
      live(node, made.earlier);
      more(node);
      made.truth = node.truth();
      if (is_killed) node.copy_to(made.dir);
    }
    if (!is_killed) fs::rename(place, made.dir);
    fs::remove_all(place);
    bases.push_back(std::move(made));
  }

  fs::path under_;
  std::uint64_t seed_;
};

} // namespace

std::vector<base> make_bases(const fs::path& under, std::uint64_t seed) {
  initialize_sqlite();
  base_maker maker{under, seed};
  const auto nothing = [](world&) {};
  maker.stopped("stopped", nothing);
  maker.killed("killed", true, nothing);
  maker.killed("grown", false, nothing); // its logs were not given their size ahead
  maker.killed("consumed", true, [](world& node) {
    node.consume(0.5);
    node.retire();
    node.send(5);
  });
  maker.killed("drained", true, [](world& node) {
    node.consume(1);
    node.rotate();
    node.retire();
  });
  maker.killed("holder", true, [](world& node) { node.hold_replicas(25); });
  const auto moving = [](world& node) {
    node.consume(0.4);
    node.begin_move(2);
  };
  maker.killed("move-made", true, moving);
  maker.killed("move-half", true, moving);
  const auto first = segment_path(maker.last().dir / "journal", 1);
  remove_segment(first);
  maker.killed("move-named", true, moving);
  const auto other = segment_path(maker.last().dir / "journal", 1);
  remove_segment(other);
  remove_segment(segment_path(maker.last().dir / "journal", 2));
  fs::rename(wal_path(moved_path(other)), wal_path(other));
  return std::move(maker.bases);
}

} // namespace penstock::damage
