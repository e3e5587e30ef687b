#include "actors/base/wall_clock.hpp"
#include "tests/unit/actors/limits/durations.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <memory>

using namespace penstock;

namespace {

constexpr std::int64_t clock_epoch = 1'700'000'000 * second_ns;

// Runs both clocks on, the system's fast by `ppm`, reading once each tenth of a second.
wall_time run(wall_time time, std::int64_t& system, std::int64_t seconds, std::int64_t ppm) {
  for (std::int64_t i = 0; i < seconds * 10; ++i) {
    system += second_ns / 10 + ppm * (second_ns / 10) / 1'000'000;
    const wall_time next = advance(time, time.steady_ns + second_ns / 10, system);
    REQUIRE(next.wall_ns > time.wall_ns);
    time = next;
  }
  return time;
}

} // namespace

TEST_CASE("the clock follows the system's slow drift", "[wall_clock]") {
  for (const std::int64_t ppm : {-500, -40, 0, 40, 500}) {
    std::int64_t system = clock_epoch;
    const wall_time time = run({0, clock_epoch}, system, 3600, ppm);
    INFO(ppm << " ppm");
    CHECK(std::abs(time.wall_ns - system) < second_ns / 1000);
  }
}

TEST_CASE("a system clock set back makes it slower, never go back, until they agree",
          "[wall_clock]") {
  std::int64_t system = clock_epoch - 10 * second_ns;
  wall_time time = run({0, clock_epoch}, system, 256, 0);
  CHECK(time.wall_ns == clock_epoch + 255 * second_ns);
  time = run(time, system, 10 * 256, 0);
  CHECK(time.wall_ns == system);
}

TEST_CASE("a small step forward is made up for slowly, a large one taken at once", "[wall_clock]") {
  CHECK(advance({0, clock_epoch}, 0, clock_epoch + second_ns / 2).wall_ns == clock_epoch);
  CHECK(advance({0, clock_epoch}, 256, clock_epoch + second_ns / 2).wall_ns == clock_epoch + 257);
  CHECK(advance({0, clock_epoch}, 0, clock_epoch + hour_ns).wall_ns == clock_epoch + hour_ns);
}

TEST_CASE("no readings make it go back", "[wall_clock]") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    test_random random(seed);
    wall_time time{5 * hour_ns, clock_epoch};
    for (int i = 0; i < 200; ++i) {
      const std::int64_t steady = time.steady_ns + random.between(-second_ns, hour_ns);
      const std::int64_t system = clock_epoch + random.between(-50 * hour_ns, 50 * hour_ns);
      const wall_time next = advance(time, steady, system);
      REQUIRE(next.wall_ns >= time.wall_ns);
      REQUIRE(next.steady_ns >= time.steady_ns);
      time = next;
    }
  }
}

TEST_CASE("the real clock is the system's, and goes on", "[wall_clock]") {
  wall_clock clock;
  const std::int64_t first = clock();
  CHECK(first > clock_epoch);
  std::int64_t last = first;
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t now = clock();
    REQUIRE(now >= last);
    last = now;
  }
}

TEST_CASE("a node's clock goes by its cluster's time", "[wall_clock]") {
  static std::int64_t steady_ns = 0;
  steady_ns = 5 * second_ns;
  const auto time = std::make_shared<cluster_time>();
  time->base_ns = clock_epoch;
  wall_clock clock{time, [] { return steady_ns; }};
  CHECK(clock() == clock_epoch + 5 * second_ns);
  // Going on it never goes back, and follows slowly.
  time->base_ns = clock_epoch - 10 * second_ns;
  steady_ns += 256 * second_ns;
  CHECK(clock() == clock_epoch + (5 + 256 - 1) * second_ns);
  // Set anew, before the node decides anything, it is what it is told, and may go back.
  time->base_ns = clock_epoch - 300 * second_ns;
  ++time->settings;
  CHECK(clock() == clock_epoch + (5 + 256 - 300) * second_ns);
  steady_ns += second_ns;
  CHECK(clock() == clock_epoch + (5 + 257 - 300) * second_ns);
}
