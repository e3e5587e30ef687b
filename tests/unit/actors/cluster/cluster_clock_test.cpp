// One time for limits on nodes whose clocks differ.
#include "actors/cluster/cluster_clock.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>

using namespace penstock;

namespace {

constexpr std::int64_t clock_second_ns = 1'000'000'000;
constexpr std::int64_t clock_real_ns = 1'790'000'000 * clock_second_ns;

/// Nodes whose system clocks are off by some time; records travel for 20 ms.
class clocks {
 public:
  struct node {
    std::int64_t off_ns = 0;
    std::int64_t booted_ns = 0; // when its steady clock was 0
    cluster_clock clock;
  };

  void add(const std::string& name, std::int64_t off_ns) {
    const auto booted_ns =
        clock_real_ns - static_cast<std::int64_t>(all.size() + 1) * 1000 * clock_second_ns;
    all.emplace(name, node{off_ns, booted_ns, {now_ns - booted_ns, now_ns + off_ns}});
  }
  std::int64_t time_of(const std::string& name) const {
    const auto& of = all.at(name);
    return now_ns - of.booted_ns + of.clock.base_ns();
  }
  bool joins(const std::string& name, const std::vector<std::string>& members) {
    auto& of = all.at(name);
    return of.clock.join(members, now_ns - of.booted_ns, now_ns + of.off_ns);
  }
  /// Each hears each, every 250 ms.
  void pass(std::int64_t time_ns, const std::vector<std::string>& members) {
    for (const auto end = now_ns + time_ns; now_ns < end; now_ns += clock_second_ns / 4) {
      std::map<std::string, member_clocks> said;
      for (const auto& each : members)
        said[each] = {now_ns + all.at(each).off_ns, time_of(each)};
      now_ns += 20'000'000;
      for (auto& [name, of] : all) {
        for (const auto& [from, what] : said)
          if (from != name) of.clock.on_record(from, what, now_ns - of.booted_ns);
        if (std::ranges::count(members, name))
          of.clock.move(members, name, now_ns - of.booted_ns, now_ns + of.off_ns);
      }
      now_ns -= 20'000'000;
    }
  }

  std::int64_t now_ns = clock_real_ns;
  std::map<std::string, node> all;
};

} // namespace

TEST_CASE("cluster clock: a node alone has its own", "[cluster_clock]") {
  clocks world;
  world.add("a", 30 * clock_second_ns);
  world.pass(60 * clock_second_ns, {"a"});
  CHECK(world.time_of("a") == world.now_ns + 30 * clock_second_ns);
  CHECK(world.all.at("a").clock.ahead_ns() == 0);
  CHECK_FALSE(world.joins("a", {"a", "b"}));
}

TEST_CASE("cluster clock: who joins takes the time of the members", "[cluster_clock]") {
  const std::int64_t off_s = GENERATE(-300, -30, 30, 300);
  clocks world;
  world.add("a", 0);
  world.add("b", off_s * clock_second_ns);
  world.pass(clock_second_ns, {"a"});
  REQUIRE(world.joins("b", {"a"}));
  CHECK(std::abs(world.time_of("b") - world.time_of("a")) <= 20'000'000);
  CHECK(std::abs(world.all.at("b").clock.ahead_ns() - off_s * clock_second_ns) <= 20'000'000);
  // From then on they go together to where both clocks are, and no faster than limits bear.
  for (int i = 0; i < 600; ++i) {
    const auto a = world.time_of("a");
    world.pass(clock_second_ns, {"a", "b"});
    CHECK(std::abs(world.time_of("a") - a - clock_second_ns) <= clock_second_ns / 200);
    CHECK(std::abs(world.time_of("b") - world.time_of("a")) <= 50'000'000);
  }
  CHECK(std::abs(world.time_of("a") - world.now_ns) <= 4 * clock_second_ns);
}

TEST_CASE("cluster clock: a clock that jumps on one of three moves nothing", "[cluster_clock]") {
  clocks world;
  for (const char* name : {"a", "b", "c"})
    world.add(name, 0);
  world.pass(10 * clock_second_ns, {"a", "b", "c"});
  world.all.at("b").off_ns = GENERATE(-3600, 3600) * clock_second_ns;
  world.pass(60 * clock_second_ns, {"a", "b", "c"});
  for (const char* name : {"a", "b", "c"})
    CHECK(std::abs(world.time_of(name) - world.now_ns) <= ignored_clock_difference_ns + 20'000'000);
}

TEST_CASE("cluster clock: clocks that are all set right are followed", "[cluster_clock]") {
  clocks world;
  for (const char* name : {"a", "b", "c"})
    world.add(name, 10 * clock_second_ns);
  world.pass(10 * clock_second_ns, {"a", "b", "c"});
  for (const char* name : {"a", "b", "c"})
    world.all.at(name).off_ns = 0;
  world.pass(3000 * clock_second_ns, {"a", "b", "c"});
  for (const char* name : {"a", "b", "c"})
    CHECK(std::abs(world.time_of(name) - world.now_ns) <= ignored_clock_difference_ns + 20'000'000);
}

TEST_CASE("cluster clock: all clocks were an hour behind, and are set right", "[cluster_clock]") {
  clocks world;
  for (const char* name : {"a", "b", "c"})
    world.add(name, -3600 * clock_second_ns);
  world.pass(10 * clock_second_ns, {"a", "b", "c"});
  for (const char* name : {"a", "b"})
    world.all.at(name).off_ns = 0;
  world.pass(10 * clock_second_ns, {"a", "b", "c"});
  for (const char* name : {"a", "b", "c"})
    CHECK(std::abs(world.time_of(name) - world.now_ns) <= ignored_clock_difference_ns + 20'000'000);
  // Of two, one that jumps takes nobody along at once.
  world.all.at("a").off_ns = 7200 * clock_second_ns;
  world.pass(10 * clock_second_ns, {"a", "b"});
  CHECK(std::abs(world.time_of("b") - world.now_ns) <= clock_second_ns);
}

TEST_CASE("cluster clock: who is far off is told apart, until it is set right", "[cluster_clock]") {
  clocks world;
  world.add("a", 0);
  world.add("b", 3600 * clock_second_ns);
  world.pass(clock_second_ns, {"a"});
  REQUIRE(world.joins("b", {"a"}));
  CHECK(world.all.at("b").clock.is_far_off());
  world.all.at("b").off_ns = 0;
  REQUIRE(world.joins("b", {"a"}));
  CHECK_FALSE(world.all.at("b").clock.is_far_off());
  world.now_ns += 2 * clock_second_ns; // nobody is heard any more
  CHECK_FALSE(world.joins("b", {"a"}));
}

TEST_CASE("cluster clock: who was away for an hour does not leap", "[cluster_clock]") {
  clocks world;
  for (const char* name : {"a", "b", "c"})
    world.add(name, 0);
  world.pass(10 * clock_second_ns, {"a", "b", "c"});
  // Two clocks were set forward by ten minutes meanwhile, which nobody takes at once.
  world.now_ns += 3600 * clock_second_ns;
  for (const char* name : {"a", "b"})
    world.all.at(name).off_ns = 600 * clock_second_ns;
  const auto before = world.time_of("c");
  world.pass(clock_second_ns, {"a", "b", "c"});
  CHECK(world.time_of("c") - before <= clock_second_ns + 2 * max_clock_age_ns / cluster_clock_slew);
}

TEST_CASE("cluster clock: no more nodes are known than a cluster may have", "[cluster_clock]") {
  cluster_clock clock{1000, clock_real_ns};
  const auto name_of = [](std::size_t i) { return "n" + std::to_string(i); };
  for (std::size_t i = 0; i <= max_members; ++i) {
    const auto heard_ns = static_cast<std::int64_t>(2000 + i);
    clock.on_record(name_of(i), {clock_real_ns, clock_real_ns}, heard_ns);
  }
  // The one that was not heard for longest made room.
  CHECK_FALSE(clock.join({name_of(0)}, 9000, clock_real_ns));
  CHECK(clock.join({name_of(1)}, 9000, clock_real_ns));
  CHECK(clock.join({name_of(max_members)}, 9000, clock_real_ns));
}

TEST_CASE("cluster clock: times that no clock has are not taken", "[cluster_clock]") {
  cluster_clock clock{1000, clock_real_ns};
  for (const auto time : {INT64_MAX, INT64_MIN, std::int64_t{0}, max_told_clock_ns + 1}) {
    clock.on_record("a", {clock_real_ns, time}, 1000);
    clock.on_record("a", {time, clock_real_ns}, 1000);
    CHECK_FALSE(clock.join({"a"}, 1000, clock_real_ns));
  }
}
