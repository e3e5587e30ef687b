// What a front end adds up: exact sums, a bound on ids, and nothing lost beyond it.
#include "actors/usage/usage_tally.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace penstock;

namespace {

constexpr auto ip = static_cast<std::size_t>(usage_dimension::ip);
constexpr auto stream = static_cast<std::size_t>(usage_dimension::stream);

usage_counts sum_of(const std::vector<usage_entry>& entries) {
  usage_counts sum;
  for (const auto& entry : entries)
    sum += entry.counts;
  return sum;
}

} // namespace

TEST_CASE("a tally gives the exact sums of each id in each dimension", "[usage]") {
  test_random random{3};
  usage_tally tally;
  CHECK(tally.empty());
  std::array<std::map<std::string, usage_counts>, usage_dimensions> expected;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5000; ++i) {
      usage_ids ids;
      std::array<std::string, usage_dimensions> texts;
      const usage_counts counts{1, static_cast<std::uint64_t>(random.between(0, 9)),
                                static_cast<std::uint64_t>(random.between(0, 1 << 20)),
                                static_cast<std::uint64_t>(random.between(0, 3))};
      for (std::size_t d = 0; d < usage_dimensions; ++d) {
        if (random.one_in(4)) continue; // has no id there
        const auto n = static_cast<std::uint64_t>(random.between(1, 300));
        texts[d] = "id" + std::to_string(n);
        ids[d] = {n * 0x9e3779b97f4a7c15, texts[d]};
        expected[d][texts[d]] += counts;
      }
      tally.add(ids, counts);
    }
    CHECK_FALSE(tally.empty());
    const auto batch = tally.take(60'000);
    CHECK(tally.empty());
    CHECK(batch.time_ms == 60'000);
    for (std::size_t d = 0; d < usage_dimensions; ++d) {
      std::map<std::string, usage_counts> got;
      for (const auto& entry : batch.entries[d]) {
        CHECK(got.count(entry.id) == 0);
        got[entry.id] = entry.counts;
      }
      CHECK(got == expected[d]);
      expected[d].clear(); // the next round begins anew
    }
  }
  CHECK(tally.overflowed() == 0);
  CHECK(tally.take(0).size() == 0);
}

TEST_CASE("beyond its bound a tally adds to one entry, and loses nothing", "[usage]") {
  usage_tally tally{100};
  for (std::uint64_t n = 0; n < 1000; ++n) {
    const auto text = std::to_string(n);
    usage_ids ids;
    ids[ip] = {n, text};
    ids[stream] = {7, "s"};
    tally.add(ids, {1, 2, 3, 4});
  }
  // Known ones are still told apart.
  usage_ids known;
  known[ip] = {5, "5"};
  tally.add(known, {10, 0, 0, 0});
  const auto batch = tally.take(0);
  CHECK(batch.entries[ip].size() == 101);
  CHECK(batch.entries[ip].back().id == other_usage_id);
  CHECK(batch.entries[ip].back().counts == usage_counts{900, 1800, 2700, 3600});
  CHECK(sum_of(batch.entries[ip]) == usage_counts{1010, 2000, 3000, 4000});
  CHECK(batch.entries[stream].size() == 1);
  CHECK(batch.entries[stream][0].counts == usage_counts{1000, 2000, 3000, 4000});
  CHECK(tally.overflowed() == 900);
  tally.add(known, {1, 0, 0, 0});
  CHECK(tally.take(0).entries[ip].size() == 1); // the bound is for one hand-over
}

TEST_CASE("texts are copied, shown as asked, and cut when they are long", "[usage]") {
  usage_tally tally;
  usage_ids ids;
  {
    std::string gone = "short-lived";
    ids[ip] = {1, gone};
    tally.add(ids, {1, 1, 1, 0});
    gone.assign(gone.size(), 'x');
  }
  const std::string huge(10'000, 'h');
  ids[ip] = {2, huge};
  tally.add(ids, {1, 1, 1, 0});
  auto batch = tally.take(0, [](usage_dimension by, std::string&& text) {
    CHECK(by == usage_dimension::ip);
    return "<" + text + ">";
  });
  REQUIRE(batch.entries[ip].size() == 2);
  for (const auto& entry : batch.entries[ip])
    CHECK((entry.id == "<short-lived>" || entry.id.size() == max_usage_id_bytes + 2));
}
