// What each stream holds, and which are refused.
#include "actors/journal/space_book.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

constexpr std::uint64_t per_event = event_overhead_bytes;

/// A catalog that only counts.
struct counted_world {
  explicit counted_world(std::map<std::string, stream_rule> rules, std::uint64_t unconfigured = 0)
      : book{[rules](const std::string& stream) {
               const auto found = rules.find(stream);
               return found != rules.end() ? found->second : stream_rule{.is_configured = false};
             },
             unconfigured} {}

  void append(const std::string& stream, event_volume more) {
    auto& count = counts[stream];
    if (count.number == 0) count.number = next_number++;
    count.volume += more;
    book.note_appended(stream, count);
  }
  void forget(const std::string& stream) { counts.erase(stream); }
  stream_backlog backlog(const std::string& stream, event_volume left, std::int64_t oldest_ms = 1) {
    return {stream, left, oldest_ms, counts[stream]};
  }
  void report(const std::string& sink, std::vector<stream_backlog> streams) {
    book.report({sink, std::move(streams)}, [this](const std::string& stream) {
      const auto found = counts.find(stream);
      return found == counts.end() ? appended_count{} : found->second;
    });
  }
  bool refuses(const std::string& stream) const {
    return book.refused() && book.refused()->names.contains(stream);
  }

  space_book book;
  std::map<std::string, appended_count> counts;
  std::uint64_t next_number = 1;
};

const stream_rule ten_events{.max_bytes = 10 * (100 + per_event)};

} // namespace

TEST_CASE("a stream is refused once it holds what it may", "[space]") {
  counted_world w{{{"s", ten_events}, {"free", {}}}};
  w.append("s", {9, 900});
  w.append("free", {1000, 100'000});
  CHECK_FALSE(w.book.refused());
  w.append("s", {1, 100});
  CHECK(w.refuses("s"));
  CHECK_FALSE(w.refuses("free"));
  CHECK(w.book.streams() == 1); // what has no bound is not remembered
}

TEST_CASE("what its slowest sink has yet to take is what it holds", "[space]") {
  counted_world w{{{"s", ten_events}}};
  w.append("s", {10, 1000});
  w.report("queue", {w.backlog("s", {2, 200})});
  CHECK(w.book.held_by("s") == 2 * (100 + per_event));
  w.report("bus", {w.backlog("s", {7, 700})});
  CHECK(w.book.held_by("s") == 7 * (100 + per_event));
  w.append("s", {3, 300}); // neither has counted these
  CHECK(w.refuses("s"));
  w.report("bus", {w.backlog("s", {0, 0})});
  CHECK(w.book.held_by("s") == 5 * (100 + per_event));
  CHECK_FALSE(w.book.refused());
}

TEST_CASE("an old event makes a stream refuse, too", "[space]") {
  counted_world w{{{"s", {.max_age_ms = 1000}}}};
  w.append("s", {1, 1});
  w.report("queue", {w.backlog("s", {1, 1}, 1000)});
  CHECK_FALSE(w.book.refused());
  w.report("queue", {w.backlog("s", {1, 1}, 1001)});
  CHECK(w.refuses("s"));
  w.report("queue", {w.backlog("s", {}, 0)});
  CHECK_FALSE(w.book.refused());
}

TEST_CASE("a stream that expires is never refused", "[space]") {
  counted_world w{{{"s", {.max_bytes = 1, .refuses = false}}}};
  w.append("s", {100, 100});
  CHECK_FALSE(w.book.refused());
}

TEST_CASE("streams that nobody configured have one bound together", "[space]") {
  counted_world w{{{"s", {}}}, 10 * (100 + per_event)};
  w.append("a", {5, 500});
  w.append("b", {4, 400});
  w.append("s", {1000, 1000});
  CHECK_FALSE(w.book.refused());
  w.append("c", {1, 100});
  REQUIRE(w.book.refused());
  CHECK(w.book.refused()->unconfigured);
  CHECK(w.book.refused()->names.empty());
  w.report("queue", {w.backlog("a", {}), w.backlog("b", {4, 400}), w.backlog("c", {1, 100})});
  CHECK_FALSE(w.book.refused());
  CHECK(w.book.unconfigured_bytes() == 5 * (100 + per_event));
}

TEST_CASE("a stream that a sink let go of holds what came since", "[space]") {
  counted_world w{{{"s", ten_events}}, 0};
  w.append("s", {9, 900});
  w.report("queue", {w.backlog("s", {9, 900})});
  w.report("queue", {});
  CHECK(w.book.held_by("s") == 0);
  w.append("s", {1, 100});
  CHECK(w.book.held_by("s") == 100 + per_event);
  // The catalog forgets it, and counts anew when it comes back.
  w.forget("s");
  w.report("queue", {});
  CHECK(w.book.streams() == 0);
  w.append("s", {2, 200});
  CHECK(w.book.held_by("s") == 2 * (100 + per_event));
}

TEST_CASE("other rules hold from the moment they are there", "[space]") {
  counted_world w{{{"s", ten_events}, {"free", {}}}, 100'000};
  w.append("s", {10, 1000});
  w.append("new", {5, 500});
  CHECK(w.refuses("s"));
  CHECK(w.book.unconfigured_bytes() == 5 * (100 + per_event));

  // It may hold more; another is configured now.
  w.book.change_rules([](const std::string& stream) {
    if (stream == "s") return stream_rule{.max_bytes = ten_events.max_bytes + 1};
    return stream_rule{.max_bytes = 1, .is_configured = stream == "new"};
  });
  CHECK_FALSE(w.refuses("s"));
  CHECK(w.refuses("new"));
  CHECK(w.book.unconfigured_bytes() == 0);

  // One that has no bound any more is forgotten; none is configured.
  w.book.change_rules([](const std::string& stream) {
    return stream == "s" ? stream_rule{} : stream_rule{.is_configured = false};
  });
  CHECK_FALSE(w.book.refused());
  CHECK(w.book.streams() == 1);
  CHECK(w.book.unconfigured_bytes() == 5 * (100 + per_event));
}

TEST_CASE("the set of refused streams is another only when it has changed", "[space]") {
  counted_world w{{{"s", ten_events}}};
  w.append("s", {10, 1000});
  const auto first = w.book.refused();
  w.append("s", {10, 1000});
  CHECK(w.book.refused() == first);
}

TEST_CASE("a stream that lets its oldest go is refused only while a sink can't", "[space]") {
  counted_world w{{{"s", {.max_bytes = ten_events.max_bytes, .refuses = false}}}};
  w.append("s", {20, 2000});
  w.report("a", {w.backlog("s", {20, 2000})});
  w.report("b", {w.backlog("s", {5, 500})});
  CHECK_FALSE(w.refuses("s"));
  auto stuck = w.backlog("s", {20, 2000});
  stuck.is_stuck = true;
  w.report("a", {stuck});
  CHECK(w.refuses("s"));
  w.report("b", {w.backlog("s", {})});
  CHECK(w.refuses("s"));
  w.report("a", {w.backlog("s", {9, 900})});
  CHECK_FALSE(w.refuses("s"));
}
