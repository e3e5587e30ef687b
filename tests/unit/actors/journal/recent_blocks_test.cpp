#include "actors/journal/journal_messages.hpp"
#include "actors/journal/recent_blocks.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>

using namespace penstock;

namespace {

const_block_ptr recent_block(std::uint64_t first_seq, std::size_t events,
                             const std::string& stream = "s", std::size_t body_bytes = 1) {
  auto block = std::make_shared<event_block>();
  block->first_seq = first_seq;
  block->stream = stream;
  for (std::size_t i = 0; i < events; ++i)
    block->push(std::string(body_bytes, 'x'), "text/plain", 0);
  return block;
}

std::vector<std::uint64_t> firsts(const std::vector<const_block_ptr>& blocks) {
  std::vector<std::uint64_t> out;
  for (const auto& block : blocks)
    out.push_back(block->first_seq);
  return out;
}

using list = std::vector<std::uint64_t>;
constexpr std::size_t plenty = 1u << 30;

} // namespace

TEST_CASE("memory reaches back to what was durable before", "[recent]") {
  recent_blocks recent{plenty, 10};
  CHECK_FALSE(recent.covers(0));
  CHECK_FALSE(recent.covers(9));
  CHECK(recent.covers(10)); // nothing is missing after it
  CHECK(recent.read("s", 10).empty());
  CHECK(recent.bytes() == 0);
  recent.add(recent_block(15, 3)); // ids skip at a start
  CHECK_FALSE(recent.covers(9));
  CHECK(recent.covers(10));
  CHECK(firsts(recent.read("s", 10)) == list{15});
}

TEST_CASE("a read gives the blocks of one stream that hold something newer, in order", "[recent]") {
  recent_blocks recent{plenty, 0};
  recent.add(recent_block(1, 3));      // 1 to 3
  recent.add(recent_block(4, 2, "t")); // 4, 5
  recent.add(recent_block(6, 1));      // 6
  recent.add(recent_block(10, 5));     // 10 to 14
  CHECK(firsts(recent.read("s", 0)) == list{1, 6, 10});
  CHECK(firsts(recent.read("s", 2)) == list{1, 6, 10}); // the reader skips 1 and 2 itself
  CHECK(firsts(recent.read("s", 3)) == list{6, 10});
  CHECK(firsts(recent.read("s", 6)) == list{10});
  CHECK(firsts(recent.read("s", 13)) == list{10});
  CHECK(recent.read("s", 14).empty());
  CHECK(firsts(recent.read("t", 0)) == list{4});
  CHECK(recent.read("u", 0).empty());
}

TEST_CASE("the oldest blocks go first, whatever their stream", "[recent]") {
  const auto one = recent_block(1, 1, "s", 1000)->memory_bytes();
  recent_blocks recent{3 * one, 0};
  recent.add(recent_block(1, 1, "s", 1000));
  recent.add(recent_block(2, 1, "t", 1000));
  recent.add(recent_block(3, 1, "s", 1000));
  CHECK(recent.bytes() == 3 * one); // exactly as much as it may
  CHECK(recent.covers(0));
  recent.add(recent_block(4, 1, "s", 1000));
  CHECK(recent.bytes() == 3 * one);
  CHECK_FALSE(recent.covers(0));
  CHECK(recent.covers(1));
  CHECK(firsts(recent.read("s", 1)) == list{3, 4});
  recent.add(recent_block(5, 1, "s", 1000));
  CHECK(recent.read("t", 0).empty());
  CHECK_FALSE(recent.covers(1));
  CHECK(recent.covers(2));
}

TEST_CASE("a dropped block is let go", "[recent]") {
  const auto first = recent_block(1, 1, "s", 1000);
  recent_blocks recent{first->memory_bytes(), 0};
  recent.add(first);
  CHECK(first.use_count() > 1);
  recent.add(recent_block(2, 1));
  CHECK(first.use_count() == 1);
}

TEST_CASE("a block larger than the bound empties the memory, itself too", "[recent]") {
  recent_blocks recent{2000, 0};
  recent.add(recent_block(1, 1));
  recent.add(recent_block(2, 3, "s", 1000));
  CHECK(recent.bytes() == 0);
  CHECK_FALSE(recent.covers(3));
  CHECK(recent.covers(4));
  CHECK(recent.read("s", 4).empty());
  recent.add(recent_block(5, 1));
  CHECK(recent.covers(4));
  CHECK(firsts(recent.read("s", 4)) == list{5});
}

TEST_CASE("a read is bounded, but gives one block in any case", "[recent]") {
  constexpr auto max = recent_blocks::max_read_bytes;
  recent_blocks recent{plenty, 0};
  recent.add(recent_block(1, 1, "s", max - 2));
  recent.add(recent_block(2, 1, "s", 2));
  recent.add(recent_block(3, 1, "s", 1));
  recent.add(recent_block(4, 1, "s", max + 1));
  recent.add(recent_block(5, 1, "s", 1));
  CHECK(firsts(recent.read("s", 0)) == list{1, 2}); // together as much as it may
  CHECK(firsts(recent.read("s", 1)) == list{2, 3});
  CHECK(firsts(recent.read("s", 3)) == list{4});
  CHECK(firsts(recent.read("s", 4)) == list{5});
}

TEST_CASE("whatever is added, memory is bounded and complete", "[recent]") {
  std::mt19937_64 random{7};
  for (int run = 0; run < 50; ++run) {
    const std::size_t max_bytes = 1000 + random() % 20'000;
    recent_blocks recent{max_bytes, 0};
    std::vector<const_block_ptr> all;
    std::uint64_t seq = 1;
    for (int i = 0; i < 100; ++i) {
      seq += random() % 3;
      const auto stream = std::string(1, static_cast<char>('s' + random() % 3));
      const auto bytes = random() % 50 == 0 ? 30'000 : random() % 500;
      all.push_back(recent_block(seq, 1 + random() % 4, stream, bytes));
      seq = all.back()->last_seq() + 1;
      recent.add(all.back());

      REQUIRE(recent.bytes() <= max_bytes);
      std::uint64_t reaches = 0; // the first place that it covers
      while (!recent.covers(reaches))
        ++reaches;
      const auto after = reaches + random() % (seq - reaches + 1);
      for (const char* s : {"s", "t", "u"}) {
        std::vector<const_block_ptr> wanted;
        for (const auto& block : all)
          if (block->stream == s && block->last_seq() > after) wanted.push_back(block);
        REQUIRE(recent.read(s, after) == wanted);
      }
    }
  }
}
