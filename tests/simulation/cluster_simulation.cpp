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

constexpr std::size_t fast_clients = 6;
constexpr std::size_t window_clients = 8;
constexpr std::size_t first_long_client = fast_clients + window_clients;
constexpr std::size_t client_count = first_long_client + 54;
/// In which each of those sends more than it may, in the end, and what it is admitted at least.
constexpr std::int64_t fast_time_ns = 8 * second;
constexpr std::size_t least_admitted = 10;
/// How late an answer may come, and what two nodes' times may be apart: units of the fast limit.
constexpr std::int64_t fast_tolerance = 4;
constexpr std::int64_t max_clock_off_s = 300;
/// Many are off by so much, which is longer than a short window.
constexpr std::int64_t least_clock_off_s = 10;
constexpr std::int64_t usual_clock_off_s = 60;
/// Keys and plans change at about every so many of the times that clients send.
constexpr std::int64_t change_every = 15;
/// Of so many seeds one has events, which cost more than all else.
constexpr std::uint64_t events_every = 4;
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
      : world_(seed, {client_count, fast_clients, window_clients}, seed % events_every == 0),
        with_faults_(with_faults) {}

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
    // Those that are left may be too few to know that nobody else decides, and wait.
    if (several_died_ && world_.owned_shards() != static_cast<std::int64_t>(shard_count))
      world_.pass(2 * membership_times{}.desert_ns);
    if (world_.owned_shards() != static_cast<std::int64_t>(shard_count))
      out_.faults.push_back(fmt::format("{} shards are owned", world_.owned_shards()));
    const auto fast_since_ns = world_.when.now_ns();
    for (std::int64_t left_ns = fast_time_ns; left_ns > 0; left_ns -= 20 * ms) {
      world_.send(1, 0, fast_clients);
      world_.send(1, fast_clients, window_clients);
      world_.pass(20 * ms);
    }
    world_.exhaust();
    judge_limits();
    for (auto& each : world_.judge_accounts(!with_faults_))
      out_.faults.push_back(std::move(each));
    for (std::size_t client = 0; client < fast_clients; ++client)
      judge_fast(client, fast_since_ns);
    for (auto& each : world_.judge_windows())
      out_.faults.push_back(std::move(each));
    for (auto& each : world_.judge_events())
      out_.faults.push_back(std::move(each));
    if (const auto promised = world_.promised_events(); promised > 0)
      tell(fmt::format("{} events were promised", promised));
    tell("in the end " + world_.describe());
    out_.sums = world_.admitted();
    return out_;
  }

 private:
  std::int64_t clock_off_ns() {
    if (world_.random.one_in(6))
      return world_.random.between(-max_clock_off_s, max_clock_off_s) * second;
    if (world_.random.one_in(3)) return 0;
    const auto off_s = world_.random.between(least_clock_off_s, usual_clock_off_s);
    return (world_.random.one_in(2) ? off_s : -off_s) * second;
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
    const auto what = world_.random.between(1, with_faults_ ? 13 : 6);
    if (what <= 2) return join_several();
    if (what == 3) return drain_several();
    if (what == 4) return step_clock();
    if (what == 5) return start_again();
    if (what == 6) return start_all_again();
    if (what == 7) return kill_one();
    if (what == 8) return part();
    if (what == 9) return directory_away();
    if (what == 10) return pause_one();
    if (what == 11) return stall();
    if (what == 12) return kill_several();
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
        const bool with_disk = world_.random.one_in(2);
        world_.start_again(i, with_disk);
        tell(fmt::format("n{:02} starts again{}", i, with_disk ? "" : " with an empty disk"));
      }
  }

  // All drain, and begin with what they saved.
  void start_all_again() {
    std::vector<std::size_t> all;
    // Also those that were draining, and did not hand over if nobody was to stay.
    for (std::size_t i = 0; i < world_.size(); ++i)
      if (!world_.has_ended(i)) all.push_back(i);
    if (with_faults_) world_.allow_unknown_if_incomplete();
    world_.allow_early_units();
    for (const auto each : all)
      if (world_.is_up(each)) world_.drain(each);
    for (int i = 0;
         i < 600 && !std::ranges::all_of(all, [&](auto each) { return world_.has_ended(each); });
         ++i)
      world_.pass(50 * ms);
    for (const auto each : all)
      world_.start_again(each, true);
    restarted_ = true;
    world_.begin_windows_anew();
    tell(fmt::format("all {} end and start again", all.size()));
    world_.pass(2 * second);
  }

  // Also an owner and its backup: then what is lost is counted.
  void kill_several() {
    if (world_.count_up() < 3) return;
    const auto most = static_cast<std::int64_t>(world_.count_up()) - 1;
    const auto count = world_.random.between(2, std::min<std::int64_t>(most, 3));
    for (int i = 0; i < count; ++i)
      world_.kill(any());
    several_died_ = true;
    tell(fmt::format("{} are killed at once", count));
    pass_under_load(3 * second);
  }

  void pause_one() {
    if (world_.count_up() < 3) return;
    const auto who = any();
    const auto time_ns = world_.random.between(50, 3000) * ms;
    world_.pause(who, time_ns);
    tell(fmt::format("n{:02} stands still for {} ms", who, time_ns / ms));
  }

  void stall() {
    const auto a = any(), b = any();
    if (a == b) return;
    const auto time_ns = world_.random.between(20, 700) * ms;
    world_.stall(a, b, time_ns);
    tell(fmt::format("nothing arrives between n{:02} and n{:02} for {} ms", a, b, time_ns / ms));
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
      world_.send(2, 0, client_count);
      world_.send(1, fast_clients, window_clients);
      if (world_.random.one_in(change_every)) world_.change_accounts();
      world_.pass(20 * ms);
    }
  }

  void judge_limits() {
    std::int64_t too_many = 0, too_few = 0;
    for (std::size_t client = first_long_client; client < client_count; ++client) {
      const auto admitted = world_.admitted()[client];
      too_many += std::max<std::int64_t>(0, std::int64_t{admitted} - limit_amount);
      too_few += std::max<std::int64_t>(0, std::int64_t{limit_amount} - admitted);
    }
    const auto& allowed = world_.allowed();
    // What is counted as incomplete is no promise; a planned change has none of that.
    if (!with_faults_ && world_.incomplete_moves() > 0)
      out_.faults.push_back(fmt::format("{} moves are incomplete", world_.incomplete_moves()));
    if (too_many > allowed.too_many && world_.incomplete_moves() == 0 && allowed.is_bounded &&
        !world_.has_lost_disk())
      out_.faults.push_back(
          fmt::format("{} units too many, {} may be", too_many, allowed.too_many));
    // Who was told 503, or nothing, may have been charged.
    const auto unknown = static_cast<std::int64_t>(world_.unreachable() + world_.unanswered());
    if (too_few > allowed.too_few + unknown)
      out_.faults.push_back(
          fmt::format("{} units too few, {} may be", too_few, allowed.too_few + unknown));
    // When all end, there may be nobody left who answers.
    if (!with_faults_ && unknown > 0 && !restarted_)
      out_.faults.push_back(fmt::format("{} requests were told 503, {} nothing",
                                        world_.unreachable(), world_.unanswered()));
  }

  // No more at any time than the definition allows, and nobody is locked out in the end.
  void judge_fast(std::size_t client, std::int64_t since_ns) {
    const auto& admitted_ns = world_.admitted_ns(client);
    const auto in_the_end = std::ranges::count_if(
        admitted_ns, [since_ns](std::int64_t each) { return each >= since_ns; });
    if (static_cast<std::size_t>(in_the_end) < least_admitted && !restarted_)
      out_.faults.push_back(
          fmt::format("fast client {} was admitted {} in the end", client, in_the_end));
    if (world_.incomplete_moves() > 0 || !world_.allowed().is_bounded || restarted_) return;
    // What is owed, as the definition counts it.
    std::int64_t until_ns = 0, most = 0;
    for (const auto each_ns : admitted_ns) {
      until_ns = std::max(until_ns, each_ns) + fast_interval_ns;
      most = std::max(most, (until_ns - each_ns) / fast_interval_ns);
    }
    const auto may_be = fast_burst + fast_tolerance + world_.allowed().too_many;
    if (most > may_be)
      out_.faults.push_back(fmt::format("fast client {} had {} units at once, of {} that may be",
                                        client, most, may_be));
  }

  void tell(const std::string& what) {
    out_.story +=
        fmt::format("  {:.3f} {}\n", static_cast<double>(world_.when.now_ns()) / 1e9, what);
  }

  cluster world_;
  bool with_faults_;
  bool several_died_ = false;
  bool restarted_ = false; ///< with another time, perhaps, than the fast limit's counters know
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
