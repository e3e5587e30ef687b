#include "actors/base/shards.hpp"
#include "actors/cluster/placement.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace penstock;

namespace {

std::vector<std::string> nodes(int count) {
  std::vector<std::string> members;
  for (int i = 0; i < count; ++i)
    members.push_back("10.0.0." + std::to_string(i + 1) + ":4200");
  return members;
}

} // namespace

TEST_CASE("a client's shard is its hash's top byte", "[placement]") {
  CHECK(shard_of(0) == 0);
  CHECK(shard_of(0x00ff'ffff'ffff'ffff) == 0);
  CHECK(shard_of(0xab00'0000'0000'0000) == 0xab);
  CHECK(shard_of(UINT64_MAX) == shard_count - 1);
}

TEST_CASE("every node sees the same owner, whatever the order of members", "[placement]") {
  std::vector<std::string> members = nodes(5);
  std::vector<std::string> expected;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    expected.push_back(members[owner_of(shard, members)]);
  std::ranges::sort(members);
  do {
    const std::vector<std::uint16_t> owners = place_shards(members);
    for (std::uint32_t shard = 0; shard < shard_count; ++shard)
      REQUIRE(members[owners[shard]] == expected[shard]);
  } while (std::ranges::next_permutation(members).found);
}

TEST_CASE("a member that leaves or joins moves only its own shards", "[placement]") {
  const std::vector<std::string> all = nodes(6);
  for (std::size_t gone = 0; gone < all.size(); ++gone) {
    std::vector<std::string> rest = all;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(gone));
    for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
      const std::string& owner = all[owner_of(shard, all)];
      if (owner != all[gone]) REQUIRE(rest[owner_of(shard, rest)] == owner);
    }
  }
}

TEST_CASE("shards are spread evenly", "[placement]") {
  CHECK(place_shards(nodes(1)) == std::vector<std::uint16_t>(shard_count, 0));
  for (const int count : {2, 3, 5, 8}) {
    const std::vector<std::uint16_t> owners = place_shards(nodes(count));
    for (int member = 0; member < count; ++member) {
      const auto share = std::ranges::count(owners, member);
      INFO("member " << member << " of " << count << " owns " << share);
      // Four standard deviations of a fair draw are at most 32 of 256.
      CHECK(std::abs(static_cast<long>(share) - static_cast<long>(shard_count) / count) <= 32);
    }
  }
}

// A change here would make nodes of different builds disagree about who counts a client.
TEST_CASE("the placement of a known cluster never changes", "[placement]") {
  const std::vector<std::string> members{"127.0.0.1:4200", "127.0.0.1:4201", "127.0.0.1:4202"};
  const std::vector<std::uint16_t> owners = place_shards(members);
  const std::vector<std::uint16_t> first(owners.begin(), owners.begin() + 16);
  CHECK(first == std::vector<std::uint16_t>{1, 1, 0, 1, 2, 2, 0, 1, 1, 1, 2, 2, 1, 0, 0, 2});
}

TEST_CASE("counters are lost with an owner and its backup, but not with those that leave",
          "[placement]") {
  const bool leaving = GENERATE(false, true);
  cluster_view view;
  view.epoch = 2;
  view.before = {{"a", "1", leaving}, {"b", "1", leaving}, {"c", "1", leaving}};
  view.members = {{"c", "1", leaving}};
  const auto places = place(view, [](const std::string& address) {
    return static_cast<std::uint16_t>(address[0] - 'a');
  });
  const auto without = std::ranges::count(places.shards, no_member, &shard_place::source);
  CHECK(without > 20); // those of a with their backup at b, and the other way round
  CHECK(std::ranges::count(places.shards, true, &shard_place::lost) == (leaving ? 0 : without));
}
