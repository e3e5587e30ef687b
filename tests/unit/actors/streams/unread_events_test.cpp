#include "actors/streams/unread_events.hpp"

#include "tests/unit/actors/queue/queue_world.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace penstock;
using namespace penstock::test;

namespace {

struct unread_world {
  fake_journal journal;
  fake_reader reader{journal};
  unread_events unread;
  std::uint64_t position = 0;

  /// Durable events of one byte each.
  void append(std::size_t count) {
    journal.append("s", count);
    journal.catalog->extend(journal.segment.number,
                            {.last_seq = journal.next_seq - 1, .added = {{"s", {count, count}}}});
  }
  std::uint64_t refresh() {
    return unread.refresh(*journal.catalog, reader, "s", position, whole_backlog{});
  }
  std::uint64_t events() const { return unread.volume().events; }
};

} // namespace

TEST_CASE("a backlog is counted once, grows by what is appended and shrinks by what is read") {
  unread_world w;
  w.append(5);
  CHECK_FALSE(w.unread.is_exact());
  CHECK(w.refresh() == 5);
  CHECK(w.unread.is_exact());
  CHECK(w.events() == 5);
  w.journal.can_count = false; // nor is it counted again
  w.append(3);
  w.refresh();
  CHECK(w.events() == 8);
  w.unread.took({6, 6});
  w.position = 6;
  w.refresh();
  CHECK(w.events() == 2);
  w.unread.let_go({1, 1});
  CHECK(w.events() == 3);
  CHECK(w.unread.is_exact());
}

TEST_CASE("where all was read nothing is unread, whatever was counted") {
  unread_world w;
  w.append(4);
  w.journal.can_count = false;
  w.refresh();
  CHECK_FALSE(w.unread.is_none());
  w.position = 4;
  w.refresh();
  CHECK(w.unread.is_none());
}

TEST_CASE("while it can't be counted a backlog is at least what came meanwhile") {
  unread_world w;
  w.journal.can_count = false;
  w.append(4);
  w.refresh();
  w.append(2);
  w.refresh();
  CHECK_FALSE(w.unread.is_exact());
  CHECK(w.events() >= 2);
  w.journal.can_count = true;
  w.refresh();
  CHECK(w.unread.is_exact());
  CHECK(w.events() == 6);
}

TEST_CASE("a stream that the catalog had forgotten is counted again") {
  unread_world w;
  w.append(4);
  w.refresh();
  w.journal.retire();
  w.append(2);
  w.refresh();
  CHECK(w.unread.is_exact());
  CHECK(w.events() == 2);
}
