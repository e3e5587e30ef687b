// Blocks against a plain list of events: whatever is done to them, both hold the same.
#include "storage/events/event_block.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>
#include <vector>

using namespace penstock;

namespace {

struct plain_event {
  std::string body, type, attributes;
  std::uint64_t client = 0;
  bool operator==(const plain_event&) const = default;
};
using plain_events = std::vector<plain_event>;

plain_events events_of(const event_block& block) {
  plain_events out;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const auto& meta = block.events[i];
    out.push_back({std::string{block.body(i)}, block.content_types.at(meta.type),
                   block.attributes.at(meta.attributes), meta.client});
  }
  return out;
}

class chance {
 public:
  explicit chance(std::uint64_t seed) : random_(seed) {}
  std::size_t below(std::size_t n) { return random_() % n; }
  plain_event event() {
    const auto kind = below(4);
    return {std::string(below(3) == 0 ? 0 : below(40), static_cast<char>('a' + below(26))),
            // Mostly a few types, sometimes more of them than a block looks back for.
            "type/" + std::to_string(below(below(8) == 0 ? 60 : 3)),
            kind < 2 ? "" : "{\"k\":" + std::to_string(kind) + "}", random_()};
  }

 private:
  std::mt19937_64 random_;
};

void push(event_block& block, plain_events& model, const plain_event& event) {
  block.push(event.body, event.type, event.client, event.attributes);
  model.push_back(event);
}

void add_some(event_block& block, plain_events& model, chance& chance) {
  for (auto n = chance.below(30); n > 0; --n)
    push(block, model, chance.event());
}

} // namespace

TEST_CASE("whatever is done to a block, it holds the events that it should", "[event]") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    chance chance{seed};
    event_block block;
    plain_events model;
    for (int step = 0; step < 40; ++step) {
      switch (chance.below(6)) {
      case 0:
      case 1:
        add_some(block, model, chance);
        break;
      case 2: {
        event_block next;
        plain_events more;
        add_some(next, more, chance);
        const auto before = next;
        block.append(next);
        model.insert(model.end(), more.begin(), more.end());
        REQUIRE(events_of(next) == events_of(before)); // it is only read
        break;
      }
      case 3: {
        const auto count = chance.below(model.size() + 3);
        block.truncate(count);
        model.resize(std::min(count, model.size()));
        break;
      }
      case 4: {
        std::vector<bool> keep;
        plain_events kept;
        for (const auto& event : model) {
          keep.push_back(chance.below(3) > 0);
          if (keep.back()) kept.push_back(event);
        }
        block.keep_only(keep);
        model = kept;
        break;
      }
      default:
        if (chance.below(4) > 0) break;
        block.clear();
        model.clear();
      }
      REQUIRE(events_of(block) == model);
      std::size_t bytes = 0;
      for (const auto& event : model)
        bytes += event.body.size();
      REQUIRE(block.bodies.size() == bytes); // no byte that belongs to no event
    }
  }
}

TEST_CASE("an appended block keeps its types and attributes, however they are numbered",
          "[event]") {
  event_block first, second;
  plain_events model;
  push(first, model, {"a", "x/y", "", 1});
  push(first, model, {"b", "z/z", "{}", 2});
  push(second, model, {"c", "z/z", R"({"k":1})", 3});
  push(second, model, {"d", "x/y", "", 4});
  push(second, model, {"", "new/one", "{}", 5});
  first.append(second);
  CHECK(events_of(first) == model);
  CHECK(first.content_types.size() == 3);
  first.append(event_block{});
  CHECK(events_of(first) == model);

  event_block empty;
  empty.append(second);
  CHECK(events_of(empty) == events_of(second));
}

TEST_CASE("a cleared block keeps its memory and nothing else", "[event]") {
  event_block block;
  block.first_seq = 7;
  block.time_ms = 8;
  block.stream = "s";
  for (int i = 0; i < 100; ++i)
    block.push(std::string(100, 'x'), "x/y", 1, "{}");
  const auto memory = block.memory_bytes();
  CHECK(memory > 100 * 100);
  block.clear();
  CHECK(block.empty());
  CHECK(block.first_seq == 0);
  CHECK(block.time_ms == 0);
  CHECK(block.stream.empty());
  CHECK(block.bodies.empty());
  CHECK(block.content_types.empty());
  CHECK(block.attributes == std::vector<std::string>{""});
  CHECK(block.memory_bytes() == memory);
  block.push("a", "z/z", 1);
  CHECK(block.content_types == std::vector<std::string>{"z/z"});
}

TEST_CASE("truncating to as many or more changes nothing, to none empties", "[event]") {
  event_block block;
  plain_events model;
  push(block, model, {"abc", "x/y", "", 1});
  push(block, model, {"", "x/y", "", 1});
  push(block, model, {"de", "x/y", "", 1});
  block.truncate(4);
  block.truncate(3);
  CHECK(events_of(block) == model);
  block.truncate(1);
  CHECK(block.bodies == "abc");
  block.truncate(0);
  CHECK(block.empty());
  CHECK(block.bodies.empty());
}

TEST_CASE("a block from elsewhere is looked over", "[block]") {
  event_block block;
  block.first_seq = 5;
  block.stream = "default";
  CHECK_FALSE(is_consistent(block)); // no event
  block.push("abc", "text/plain", 1);
  block.push("", "text/html", 2, R"({"a":"b"})");
  CHECK(is_consistent(block));
  const auto broken = [&](auto how) {
    auto copy = block;
    how(copy);
    return !is_consistent(copy);
  };
  CHECK(broken([](event_block& b) { b.first_seq = 0; }));
  CHECK(broken([](event_block& b) { b.first_seq = UINT64_MAX; }));
  CHECK(broken([](event_block& b) { b.stream.clear(); }));
  CHECK(broken([](event_block& b) { b.bodies += 'x'; }));
  CHECK(broken([](event_block& b) { b.bodies.clear(); }));
  CHECK(broken([](event_block& b) { b.events[0].end = 4; }));
  CHECK(broken([](event_block& b) { b.events[1].type = 2; }));
  CHECK(broken([](event_block& b) { b.events[1].attributes = 2; }));
  CHECK(broken([](event_block& b) { b.attributes.clear(); }));
  CHECK(broken([](event_block& b) { b.attributes[0] = "{}"; }));
  CHECK(broken([](event_block& b) { b.events.resize(max_events_per_block + 1, b.events[1]); }));
}

TEST_CASE("an event counts for a long content type where the one before it has another",
          "[block]") {
  const std::string long_type(42, 'x'), other(40, 'y'); // 10 and 8 more than an event's overhead
  event_block block;
  block.push("abc", long_type, 1);
  block.push("de", long_type, 1, R"({"a":"b"})");
  block.push("", other, 1);
  block.push("f", long_type, 1);
  block.push("g", "text/plain", 1);
  CHECK(block.event_bytes(0) == 3 + 10);
  CHECK(block.event_bytes(1) == 2 + 9);
  CHECK(block.event_bytes(2) == 8);
  CHECK(block.event_bytes(3) == 1 + 10);
  CHECK(block.event_bytes(4) == 1);
  CHECK(block.event_bytes_from(0) == 13 + 11 + 8 + 11 + 1);
  CHECK(block.event_bytes_from(1) == 11 + 8 + 11 + 1);
  CHECK(block.event_bytes_from(5) == 0);
  event_block plain;
  plain.push("abc", long_type, 1);
  plain.push("de", long_type, 1);
  CHECK(plain.event_bytes_from(0) == 5 + 10);
  CHECK(plain.event_bytes_from(1) == 2);
}
