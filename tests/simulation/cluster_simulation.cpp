// Runs clusters on virtual time, and judges what became of their limits.
//
//   cluster_simulation [--seed N] [--runs N] [--kind planned|faults] [--verbose]
//
// A seed decides everything, and repeats a run exactly. Ends with 1, and names the seeds, where a
// promise was broken.
#include "tests/simulation/cluster.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using namespace penstock;
using namespace penstock::simulation;

namespace {

constexpr std::size_t client_count = 60;
constexpr std::int64_t max_clock_off_s = 300;
/// So many of the first seeds are run twice: the same must happen.
constexpr std::uint64_t repeated_runs = 5;

struct verdict_of_run {
  std::vector<std::string> faults;
  std::string story;
  std::vector<std::uint32_t> sums{}; ///< units that each client was admitted
};

class run {
 public:
  run(std::uint64_t seed, bool with_faults)
      : world_(seed, client_count), with_faults_(with_faults) {}

  verdict_of_run judge() {
    begin();
    for (int change = 0; change < 6; ++change) {
      happen();
      pass_under_load(world_.random.between(0, 2500) * ms);
    }
    world_.heal();
    world_.store.come_back();
    pass_under_load(2 * second);
    world_.pass(12 * second);
    if (world_.owned_shards() != static_cast<std::int64_t>(shard_count))
      out_.faults.push_back(fmt::format("{} shards are owned", world_.owned_shards()));
    world_.exhaust();
    judge_limits();
    tell("in the end " + world_.describe());
    out_.sums = world_.admitted();
    return out_;
  }

 private:
  std::int64_t clock_off_ns() {
    return world_.random.one_in(3)
               ? world_.random.between(-max_clock_off_s, max_clock_off_s) * second
               : 0;
  }

  void begin() {
    const auto first = world_.random.between(1, 4);
    for (int i = 0; i < first; ++i)
      world_.add(clock_off_ns());
    world_.pass(3 * second);
    tell(fmt::format("{} nodes", first));
    pass_under_load(second);
  }

  void happen() {
    const auto what = world_.random.between(1, with_faults_ ? 9 : 5);
    if (what <= 2) return join_several();
    if (what == 3) return drain_several();
    if (what == 4) return step_clock();
    if (what == 5) return start_again();
    if (what == 6) return kill_one();
    if (what == 7) return part();
    if (what == 8) return directory_away();
    world_.heal();
    world_.store.come_back();
    tell("all is healed");
  }

  void join_several() {
    const auto count = world_.random.between(1, 8);
    if (world_.count_up() + static_cast<std::size_t>(count) > 14) return;
    for (int i = 0; i < count; ++i) {
      world_.add(clock_off_ns());
      pass_under_load(world_.random.between(0, 20) * ms);
    }
    tell(fmt::format("{} join", count));
  }

  void drain_several() {
    const auto most = static_cast<std::int64_t>(world_.count_up()) - 1;
    if (most < 1) return;
    auto left = world_.random.between(1, most);
    tell(fmt::format("{} drain", left));
    for (std::size_t i = 0; i < world_.size() && left > 0; ++i)
      if (world_.is_up(i) && world_.random.one_in(2)) {
        world_.drain(i);
        --left;
      }
  }

  void step_clock() {
    const auto who = any();
    const auto by_s = world_.random.between(-max_clock_off_s, max_clock_off_s);
    world_.step_clock(who, by_s * second);
    tell(fmt::format("the clock of n{:02} steps by {} s", who, by_s));
  }

  void start_again() {
    for (std::size_t i = 0; i < world_.size(); ++i)
      if (!world_.is_up(i) && world_.has_ended(i) && world_.random.one_in(2)) {
        world_.start_again(i);
        tell(fmt::format("n{:02} starts again", i));
      }
  }

  void kill_one() {
    if (world_.count_up() < 3) return;
    const auto who = any();
    world_.kill(who);
    tell(fmt::format("n{:02} is killed", who));
    pass_under_load(3 * second); // two deaths at once are another promise
  }

  void part() {
    const auto a = any(), b = any();
    if (a == b) return;
    world_.part(a, b);
    tell(fmt::format("n{:02} and n{:02} are parted", a, b));
  }

  void directory_away() {
    const bool wiped = world_.random.one_in(3);
    world_.lose_directory(wiped);
    tell(wiped ? "the directory is away, and wiped" : "the directory is away");
    pass_under_load(world_.random.between(200, 6000) * ms);
    world_.store.come_back();
    // A node that starts while an empty store has not been told of the cluster begins another.
    if (wiped) pass_under_load(3 * second);
  }

  std::size_t any() {
    std::size_t at = 0;
    do
      at = static_cast<std::size_t>(
          world_.random.between(0, static_cast<std::int64_t>(world_.size()) - 1));
    while (!world_.is_up(at));
    return at;
  }

  void pass_under_load(std::int64_t time_ns) {
    for (; time_ns > 0; time_ns -= 20 * ms) {
      world_.send(3);
      world_.pass(20 * ms);
    }
  }

  void judge_limits() {
    std::int64_t too_many = 0, too_few = 0;
    for (const auto admitted : world_.admitted()) {
      too_many += std::max<std::int64_t>(0, std::int64_t{admitted} - limit_amount);
      too_few += std::max<std::int64_t>(0, std::int64_t{limit_amount} - admitted);
    }
    const auto& allowed = world_.allowed();
    // What is counted as incomplete is no promise; a planned change has none of that.
    if (!with_faults_ && world_.incomplete_moves() > 0)
      out_.faults.push_back(fmt::format("{} moves are incomplete", world_.incomplete_moves()));
    if (too_many > allowed.too_many && world_.incomplete_moves() == 0 && allowed.is_bounded)
      out_.faults.push_back(
          fmt::format("{} units too many, {} may be", too_many, allowed.too_many));
    // Who was told 503, or nothing, may have been charged.
    const auto unknown = static_cast<std::int64_t>(world_.unreachable() + world_.unanswered());
    if (too_few > allowed.too_few + unknown)
      out_.faults.push_back(
          fmt::format("{} units too few, {} may be", too_few, allowed.too_few + unknown));
    if (!with_faults_ && unknown > 0)
      out_.faults.push_back(fmt::format("{} requests were told 503, {} nothing",
                                        world_.unreachable(), world_.unanswered()));
  }

  void tell(const std::string& what) {
    out_.story +=
        fmt::format("  {:.3f} {}\n", static_cast<double>(world_.when.now_ns()) / 1e9, what);
  }

  cluster world_;
  bool with_faults_;
  verdict_of_run out_;
};

} // namespace

int main(int count, char** words) {
  std::uint64_t seed = 1, runs = 100;
  std::string kind;
  bool verbose = false;
  for (int i = 1; i < count; ++i) {
    const auto value = [&] { return i + 1 < count ? std::strtoull(words[++i], nullptr, 10) : 0; };
    if (std::strcmp(words[i], "--seed") == 0)
      seed = value();
    else if (std::strcmp(words[i], "--runs") == 0)
      runs = value();
    else if (std::strcmp(words[i], "--kind") == 0 && i + 1 < count)
      kind = words[++i];
    else if (std::strcmp(words[i], "--verbose") == 0)
      verbose = true;
    else {
      fmt::print(stderr, "cluster_simulation: {} is not known\n", words[i]);
      return 64;
    }
  }
  spdlog::set_level(verbose ? spdlog::level::trace : spdlog::level::off);
  std::size_t failed = 0;
  for (std::uint64_t i = 0; i < runs; ++i)
    for (const bool with_faults : {false, true}) {
      if (!kind.empty() && (kind == "faults") != with_faults) continue;
      auto verdict = run{seed + i, with_faults}.judge();
      if (i < repeated_runs) {
        const auto again = run{seed + i, with_faults}.judge();
        if (again.story != verdict.story || again.sums != verdict.sums)
          verdict.faults.emplace_back("the seed did not repeat the run");
      }
      if (verbose || !verdict.faults.empty())
        fmt::print("seed {} {}:\n{}", seed + i, with_faults ? "faults" : "planned", verdict.story);
      for (const auto& fault : verdict.faults)
        fmt::print("  WRONG: {}\n", fault);
      failed += !verdict.faults.empty();
    }
  fmt::print("{} seeds from {}: {} runs went wrong\n", runs, seed, failed);
  return failed == 0 ? 0 : 1;
}
