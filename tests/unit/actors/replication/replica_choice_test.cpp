// Who holds whose events.
#include "actors/replication/replica_choice.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>

using namespace penstock;

namespace {

std::string holder_among(const std::string& tag, const std::vector<std::string>& candidates) {
  const auto at = holder_of(tag, candidates);
  return at ? candidates[*at] : "";
}

} // namespace

TEST_CASE("the holder depends on the tag and on who is there alone", "[replica]") {
  std::vector<std::string> nodes{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"};
  CHECK_FALSE(holder_of("aaaaaaaa", {}));
  CHECK(holder_among("aaaaaaaa", {"a:1"}) == "a:1");
  std::map<std::string, int> chosen;
  for (int i = 0; i < 400; ++i) {
    const auto tag = "tag" + std::to_string(i);
    const auto holder = holder_among(tag, nodes);
    ++chosen[holder];
    auto others = nodes;
    std::ranges::reverse(others);
    CHECK(holder_among(tag, others) == holder);
    // Another's going changes nothing; the holder's own makes the next in order follow.
    for (const auto& gone : nodes) {
      auto rest = nodes;
      std::erase(rest, gone);
      CHECK((holder_among(tag, rest) == holder) == (gone != holder));
    }
  }
  REQUIRE(chosen.size() == nodes.size());
  for (const auto& [node, times] : chosen)
    CHECK(times > 60);
}
