// What is remembered of streams that a reader let go, and for how long.
#include "actors/streams/settled_streams.hpp"

#include <catch2/catch.hpp>

namespace penstock::settled_streams_test {

using names = std::vector<std::string>;

const auto none_is_back = [](const std::string&) { return false; };

TEST_CASE("gone streams: positions are dropped an upkeep after their stream is gone") {
  gone_streams gone;
  gone.add("a");
  CHECK(gone.due(none_is_back).empty()); // its segment may be on the disk still
  gone.add("b");
  CHECK(gone.due(none_is_back) == names{"a"});
  CHECK(gone.due(none_is_back) == names{"a"}); // the disk did not take it: once more
  gone.dropped();
  CHECK(gone.due(none_is_back).empty());
  CHECK(gone.due(none_is_back) == names{"b"});
  gone.dropped();
  CHECK(gone.due(none_is_back).empty());
}

TEST_CASE("gone streams: one that is back keeps its positions") {
  gone_streams gone;
  for (const auto* name : {"a", "b"})
    gone.add(name);
  const auto a_is_back = [](const std::string& name) { return name == "a"; };
  SECTION("before it is due") {
    CHECK(gone.due(a_is_back).empty());
    CHECK(gone.due(none_is_back) == names{"b"});
  }
  SECTION("when it is") {
    CHECK(gone.due(none_is_back).empty());
    CHECK(gone.due(a_is_back) == names{"b"});
  }
}

} // namespace penstock::settled_streams_test
