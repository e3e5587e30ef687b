// Blocks and ids, without a disk.
#include "tests/unit/storage/support.hpp"

#include <algorithm>

using namespace penstock;
using namespace penstock::test;

TEST_CASE("ids are written, read, and sort as their numbers do", "[event]") {
  const std::string tag = "abcdez27";
  CHECK(event_id(0x1234, tag) == "0000000000001234-abcdez27");
  std::vector<std::uint64_t> seqs{0, 1, 9, 10, 15, 16, 255, 256, 1ull << 32, ~0ull};
  std::vector<std::string> ids;
  for (const auto seq : seqs) {
    ids.push_back(event_id(seq, tag));
    const auto parsed = parse_event_id(ids.back());
    REQUIRE(parsed);
    CHECK(parsed->seq == seq);
    CHECK(parsed->tag == tag);
  }
  CHECK(std::is_sorted(ids.begin(), ids.end()));
}

TEST_CASE("what is not an id is not read as one", "[event]") {
  for (const auto* text :
       {"", "1", "0000000000001234abcdez277", "0000000000001234-abcdez2",
        "000000000000123G-abcdez27", "000000000000123A-abcdez27", "0000000000001234-abcdez2-",
        "0000000000001234-abcdez271", " 000000000001234-abcdez27", "0000000000001234-ABCDEZ27"}) {
    CAPTURE(text);
    CHECK(!parse_event_id(text));
  }
}

TEST_CASE("a block shares types and attributes, and keeps bodies apart", "[event]") {
  event_block block;
  block.push("a", "x/y", 1);
  block.push("", "x/y", 1, "{}");
  block.push("ccc", "z/z", 2, "{}");
  block.push("d", "x/y", 2);
  CHECK(block.size() == 4);
  CHECK(block.content_types.size() == 2);
  CHECK(block.attributes.size() == 2);
  CHECK(block.body(0) == "a");
  CHECK(block.body(1) == "");
  CHECK(block.body(2) == "ccc");
  CHECK(block.body(3) == "d");
  CHECK(block.events[3].type == 0);
}

TEST_CASE("dropping events closes the gaps", "[event]") {
  const std::size_t n = 6;
  for (unsigned mask = 0; mask < 1u << n; ++mask) {
    event_block block;
    std::vector<std::string> wanted;
    std::vector<bool> keep;
    for (std::size_t i = 0; i < n; ++i) {
      const std::string body(i * 3 % 5, static_cast<char>('a' + i));
      block.push(body, i % 2 == 0 ? "x/y" : "z/z", i);
      keep.push_back((mask >> i & 1) != 0);
      if (keep.back()) wanted.push_back(body);
    }
    block.keep_only(keep);
    std::vector<std::string> got;
    for (std::size_t i = 0; i < block.size(); ++i)
      got.emplace_back(block.body(i));
    if (got != wanted) FAIL("mask " << mask);
  }
}
