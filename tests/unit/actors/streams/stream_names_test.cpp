// Which names of streams a node serves: bounds, shares, what a refusal costs, what is forgotten.
#include "actors/streams/stream_names.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace penstock;
using outcome = stream_names::outcome;

namespace {

struct names_of_test : stream_names {
  explicit names_of_test(std::uint32_t places) : stream_names{places} { forget(0); }

  answer ask(const std::string& name, std::uint64_t holder = 1) {
    return find_or_reserve(hash_of(name), holder);
  }
  outcome take(const std::string& name, std::uint64_t holder = 1) {
    const auto got = ask(name, holder);
    if (got.what == outcome::reserved) keep(got.place);
    return got.what;
  }
  bool knows(const std::string& name) {
    const auto got = ask(name, 999);
    if (got.what == outcome::reserved) release(got.place);
    return got.what == outcome::known;
  }
  std::size_t forget(std::int64_t now_s, std::int64_t idle_s = 10,
                     const std::set<std::string>& backlog = {}) {
    std::set<std::uint64_t> hashes;
    for (const auto& name : backlog)
      hashes.insert(hash_of(name));
    return forget_unused(now_s, idle_s, [&](std::uint64_t each) { return hashes.contains(each); });
  }
};

} // namespace

TEST_CASE("stream names: what is refused uses up nothing") {
  names_of_test names{4};
  for (int i = 0; i < 100; ++i) {
    const auto got = names.ask("s" + std::to_string(i));
    REQUIRE(got.what == outcome::reserved);
    CHECK(names.used() == 1);
    names.release(got.place);
  }
  CHECK(names.used() == 0);
  CHECK_FALSE(names.knows("s0"));
  CHECK(names.take("a") == outcome::reserved);
  CHECK(names.take("a") == outcome::known);
  CHECK(names.used() == 1);
}

TEST_CASE("stream names: a holder gets as many as are free, and there is room for the next") {
  names_of_test names{64};
  const auto fill = [&](std::uint64_t holder) {
    std::uint32_t got = 0;
    while (names.take(std::to_string(holder) + "." + std::to_string(got), holder) ==
           outcome::reserved)
      ++got;
    return got;
  };
  CHECK(fill(1) == 32);
  CHECK(fill(2) == 16);
  CHECK(fill(3) == 8);
  CHECK(names.refused_share() == 3);
  CHECK(names.take("known to all", 4) == outcome::reserved);
  CHECK(names.take("known to all", 1) == outcome::known); // it need not be one's own
  CHECK(names.take("another", 1) == outcome::share);
  CHECK(names.refused_full() == 0);
}

TEST_CASE("stream names: what is reserved counts for the share") {
  names_of_test names{8};
  std::vector<std::uint32_t> places;
  for (int i = 0; i < 4; ++i)
    places.push_back(names.ask(std::to_string(i), 1).place);
  CHECK(names.ask("more", 1).what == outcome::share);
  CHECK(names.take("other", 2) == outcome::reserved);
  for (auto place : places)
    names.release(place);
  CHECK(names.take("more", 1) == outcome::reserved);
}

TEST_CASE("stream names: no more than there are places, for nobody's too") {
  names_of_test names{4};
  for (int i = 0; i < 4; ++i)
    CHECK(names.adopt(names.hash_of(std::to_string(i))));
  CHECK(names.adopt(names.hash_of("0"))); // it is there
  CHECK_FALSE(names.adopt(names.hash_of("more")));
  CHECK(names.take("more") == outcome::full);
  CHECK(names.take("0") == outcome::known);
  CHECK(names.used() == 4);
  CHECK(names.refused_full() == 2);
}

TEST_CASE("stream names: two requests reserve one place, and one that is stored is enough") {
  names_of_test names{4};
  const auto first = names.ask("a", 1), second = names.ask("a", 2);
  REQUIRE(first.what == outcome::reserved);
  REQUIRE(second.what == outcome::reserved);
  CHECK(first.place == second.place);
  SECTION("the first") {
    names.keep(first.place);
    names.release(second.place);
    CHECK(names.knows("a"));
  }
  SECTION("the second") {
    names.release(first.place);
    names.keep(second.place);
    CHECK(names.knows("a"));
  }
  SECTION("both") {
    names.keep(first.place);
    names.keep(second.place);
    CHECK(names.knows("a"));
    CHECK(names.forget(10) == 1);
  }
  SECTION("none") {
    names.release(first.place);
    names.release(second.place);
    CHECK_FALSE(names.knows("a"));
    CHECK(names.used() == 0);
  }
}

TEST_CASE("stream names: forgotten when nothing came for the time and nothing is owed") {
  names_of_test names{8};
  names.forget(100);
  names.take("a");
  names.take("b");
  const auto waits = names.ask("c");
  REQUIRE(waits.what == outcome::reserved);
  CHECK(names.forget(109) == 0);
  names.use(names.ask("b").place);
  CHECK(names.forget(110, 10, {"a"}) == 0);
  CHECK(names.forget(111) == 1);
  CHECK_FALSE(names.knows("a"));
  CHECK(names.knows("b"));
  CHECK(names.forget(118) == 0);
  CHECK(names.forget(119) == 1);
  CHECK(names.used() == 1); // what a request waits with is not forgotten
  names.keep(waits.place);
  CHECK(names.forget(128) == 0);
  CHECK(names.forget(129) == 1);
  CHECK(names.used() == 0);
  CHECK(names.forgotten() == 3);
}

TEST_CASE("stream names: what was there before the time was known was used then") {
  stream_names names{4};
  names.adopt(names.hash_of("of the journal"));
  const auto no_backlog = [](auto) { return false; };
  CHECK(names.forget_unused(100'000, 10, no_backlog) == 0);
  CHECK(names.forget_unused(100'009, 10, no_backlog) == 0);
  CHECK(names.forget_unused(100'010, 10, no_backlog) == 1);
}

TEST_CASE("stream names: a place that went to another name is not the first one's") {
  names_of_test names{1};
  names.take("a");
  const auto place = names.ask("a").place;
  CHECK(names.holds(place, names.hash_of("a")));
  CHECK(names.forget(100) == 1);
  CHECK_FALSE(names.holds(place, names.hash_of("a")));
  std::string name = "b0";
  auto other = names.ask(name);
  for (int i = 1; other.place != place && i < 10'000; ++i) {
    names.release(other.place);
    other = names.ask(name = "b" + std::to_string(i));
  }
  REQUIRE(other.place == place);
  names.keep(other.place);
  CHECK(names.ask(name).what == outcome::known);
  CHECK_FALSE(names.holds(place, names.hash_of("a")));
}

TEST_CASE("stream names: as many as there may be find a place, and again after all are forgotten") {
  names_of_test names{max_stream_names};
  for (int round = 0; round < 3; ++round) {
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < max_stream_names; ++i)
      kept += names.adopt(names.hash_of(std::to_string(round) + "." + std::to_string(i)));
    CHECK(kept == max_stream_names);
    CHECK(names.used() == max_stream_names);
    CHECK(names.take("more", 0) == outcome::full);
    CHECK(names.forget(100 * (round + 1)) == max_stream_names);
    CHECK(names.take("mine", 7) == outcome::reserved); // nobody's share is used up
    CHECK(names.forget(100 * (round + 1) + 50) == 1);
  }
}

TEST_CASE("stream names: lanes that take and refuse at once leave what was kept, and no more") {
  constexpr int threads = 4, names_each = 50, rounds = 40;
  names_of_test names{512};
  std::atomic<int> lost{0};
  std::vector<std::thread> lanes;
  for (int lane = 0; lane < threads; ++lane)
    lanes.emplace_back([&, lane] {
      for (int round = 0; round < rounds; ++round)
        for (int i = 0; i < names_each; ++i) {
          const bool wanted = i % 2 == 0; // the odd ones are always refused
          const auto got = names.ask("n" + std::to_string(i), 1 + static_cast<unsigned>(lane));
          if (got.what == outcome::reserved && wanted)
            names.keep(got.place);
          else if (got.what == outcome::reserved)
            names.release(got.place);
          else if (got.what != outcome::known)
            ++lost;
        }
    });
  for (auto& lane : lanes)
    lane.join();
  CHECK(lost == 0);
  for (int i = 0; i < names_each; ++i)
    CHECK(names.knows("n" + std::to_string(i)) == (i % 2 == 0));
  // A name that two lanes brought at one moment may have two places, until they are forgotten.
  CHECK(names.used() >= names_each / 2);
  CHECK(names.used() <= threads * names_each / 2);
  names.forget(1000);
  CHECK(names.used() == 0);
}
