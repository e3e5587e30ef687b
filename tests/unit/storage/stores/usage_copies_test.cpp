// Copies of other nodes' usage: rows that only grow, whatever order their states come in.
#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/usage_copies.hpp"
#include "storage/stores/usage_reader.hpp"
#include "storage/stores/usage_schema.hpp"
#include "tests/unit/storage/support.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>

using namespace penstock;
using penstock::test::temporary_dir;

namespace {

constexpr std::int64_t copies_t0_s = 1'796'083'200; // 2026-12-01T00:00:00Z

std::string copy_origin(std::size_t n) {
  auto digits = std::to_string(n);
  return std::string(usage_origin_size - digits.size(), '0') + digits;
}

usage_about about_copy(std::size_t n, std::int64_t known_ms = 1) {
  return {copy_origin(n), "n" + std::to_string(n), "h:" + std::to_string(n), known_ms,
          copy_origin(n)};
}

usage_batch_ptr traffic(std::int64_t at_s, const std::string& stream, std::uint64_t requests) {
  auto batch = std::make_shared<usage_batch>();
  batch->time_ms = at_s * 1000;
  batch->entries[static_cast<std::size_t>(usage_dimension::stream)].push_back(
      {stream, {requests, 2 * requests, 3 * requests, 4 * requests}});
  return batch;
}

std::vector<usage_state> all_states(usage_store& store, std::size_t a_message = 7) {
  std::vector<usage_state> out;
  usage_key last;
  for (;;) {
    auto more = store.states_after(last, a_message);
    REQUIRE(more.has_value());
    out.insert(out.end(), more->begin(), more->end());
    if (more->size() < a_message) return out;
  }
}

std::vector<usage_state> all_states(usage_copies& copies, const std::string& origin) {
  usage_key last;
  auto all = copies.states_after(origin, last, 100'000);
  REQUIRE(all.has_value());
  return std::move(*all);
}

auto in_order(std::vector<usage_state> rows) {
  std::map<std::tuple<usage_period, usage_dimension, std::int64_t, std::string>, std::uint64_t> out;
  for (const auto& row : rows)
    out[{row.period, row.by, row.start_s, row.id}] = row.counts.requests;
  return out;
}

// As only damage, or somebody else, writes to it.
void tamper(const std::filesystem::path& file, const std::string& sql) {
  auto db = *sqlite_database::open(file, sqlite_mode::create);
  REQUIRE(db.exec(sql.c_str()).has_value());
}

std::int64_t number_in(const std::filesystem::path& file, const std::string& sql) {
  auto db = *sqlite_database::open(file, sqlite_mode::read_only);
  auto statement = *db.prepare(sql);
  REQUIRE(*statement.step());
  return statement.integer(0);
}

} // namespace

TEST_CASE("a store says whose it is, and another one is another's", "[usage]") {
  temporary_dir dir, other;
  const auto first = *usage_store::open(dir.path());
  const auto about = first->about();
  CHECK(is_usage_origin(about.origin));
  CHECK((*usage_store::open(other.path()))->about().origin != about.origin);
  REQUIRE(first->describe({"ignored", "a", "h:1", 0, {}}).has_value());
  const auto again = *usage_store::open(dir.path());
  CHECK(again->about().origin == about.origin);
  CHECK(again->begun_ms() == first->begun_ms());
  const auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  CHECK(std::abs(now_ms - first->begun_ms()) < 60'000);
  CHECK(again->about().node == "a");
  CHECK(again->about().address == "h:1");
}

TEST_CASE("a store of a program that knew no origins gets one, begun nobody knows when",
          "[usage]") {
  temporary_dir dir;
  const std::vector<usage_batch_ptr> batch{traffic(copies_t0_s, "a", 1)};
  REQUIRE((*usage_store::open(dir.path()))->write(batch).has_value());
  {
    auto db = *sqlite_database::open(dir.path() / "usage.db", sqlite_mode::create);
    REQUIRE(db.exec("DROP TABLE origin").has_value());
  }
  const auto store = *usage_store::open(dir.path());
  CHECK(is_usage_origin(store->about().origin));
  CHECK(store->begun_ms() == 0);
  CHECK(store->rows() == usage_periods);
}

TEST_CASE("rows that were written are told, and read as they are then", "[usage]") {
  temporary_dir dir;
  const auto store = *usage_store::open(dir.path());
  std::vector<usage_key> changed;
  const std::vector<usage_batch_ptr> both{traffic(copies_t0_s, "a", 1),
                                          traffic(copies_t0_s, "b", 2)};
  REQUIRE(store->write(both, changed).has_value());
  CHECK(changed.size() == 2 * usage_periods);
  REQUIRE(store->write(std::vector<usage_batch_ptr>{traffic(copies_t0_s, "a", 5)}).has_value());
  auto states = store->states(changed);
  REQUIRE(states.has_value());
  CHECK(in_order(*states) == in_order(all_states(*store)));
  for (const auto& row : *states)
    CHECK(row.counts.requests == (row.id == "a" ? 6 : 2));
  changed.push_back({.name = 99}); // has gone meanwhile
  CHECK(store->states(changed)->size() == states->size());
  CHECK(store->names() == 2);
}

TEST_CASE("states of rows come in any order, and again: the copy is the same", "[usage]") {
  temporary_dir of_node, of_other;
  const auto store = *usage_store::open(of_node.path());
  const auto copies = *usage_copies::open(of_other.path());
  // In one file with others', before it and behind it.
  const std::vector<usage_state> of_another{
      {usage_period::day, usage_dimension::stream, copies_t0_s, "s1", {7}}};
  for (const std::size_t n : {0, 2})
    REQUIRE(copies->raise(of_another, about_copy(n)).has_value());
  std::mt19937 random{7};
  std::vector<std::vector<usage_state>> messages;
  for (int i = 0; i < 40; ++i) {
    std::vector<usage_key> changed;
    const auto at = copies_t0_s + static_cast<std::int64_t>(random() % 100'000);
    REQUIRE(store
                ->write(std::vector<usage_batch_ptr>{traffic(at, "s" + std::to_string(random() % 5),
                                                             1 + random() % 9)},
                        changed)
                .has_value());
    messages.push_back(*store->states(changed));
  }
  auto twice = messages;
  twice.insert(twice.end(), messages.begin(), messages.end());
  std::shuffle(twice.begin(), twice.end(), random);
  for (const auto& rows : twice)
    REQUIRE(copies->raise(rows, about_copy(1)).has_value());
  CHECK(in_order(all_states(*copies, copy_origin(1))) == in_order(all_states(*store)));
  CHECK(copies->all().at(copy_origin(1)).names >= store->names());

  usage_query query{.by = usage_dimension::stream, .per = usage_period::day};
  query.from_s = copies_t0_s;
  query.to_s = copies_t0_s + 200'000;
  query.top = 1000;
  const auto reader = *usage_reader::open(of_node.path());
  const auto copy = *usage_reader::open_copies(of_other.path(), {copy_origin(1)});
  const auto go_on = [] { return false; };
  const auto whole = *reader->run(query, go_on);
  CHECK(copy->run(query, go_on)->total == whole.total);
  // In parts, each id is in one of them.
  usage_counts sum;
  std::uint64_t ids = 0;
  for (std::uint32_t part = 0; part < 3; ++part) {
    const auto rows = *copy->run_part(query, part, 3, go_on);
    for (const auto& row : rows) {
      CHECK(usage_part_of(row.id, 3) == part);
      sum += row.counts;
      ++ids;
    }
  }
  CHECK(sum == whole.total);
  CHECK(ids == whole.ids);
  // Several are added up.
  const auto three =
      *usage_reader::open_copies(of_other.path(), {copy_origin(2), copy_origin(1), copy_origin(0)});
  usage_counts all;
  for (const auto& row : *three->run_part(query, 0, 1, go_on))
    all += row.counts;
  CHECK(all.requests == whole.total.requests + 14);
  query.id = "s1";
  const auto of_id = reader->run(query, go_on)->total.requests;
  all = {};
  for (const auto& row : *three->run_part(query, 0, 1, go_on))
    all += row.counts;
  CHECK(all.requests == of_id + 14);
  CHECK(usage_reader::open_copies(of_other.path(), {copy_origin(7)}).error().code ==
        errc::not_found);
}

TEST_CASE("a copy knows what it is said to know, never less", "[usage]") {
  temporary_dir dir;
  const auto rows = std::vector<usage_state>{
      {usage_period::month, usage_dimension::stream, copies_t0_s, "x", {1, 1, 1, 1}}};
  {
    const auto copies = *usage_copies::open(dir.path());
    REQUIRE(copies->raise(rows, about_copy(1, 500)).has_value());
    auto relayed = about_copy(1, 400);
    relayed.given_by = copy_origin(2);
    REQUIRE(copies->raise(rows, relayed).has_value());
    CHECK(copies->all().at(copy_origin(1)).about == about_copy(1, 500));
  }
  const auto copies = *usage_copies::open(dir.path());
  REQUIRE(copies->all().size() == 1);
  CHECK(copies->all().at(copy_origin(1)).about == about_copy(1, 500));
  CHECK(copies->all().at(copy_origin(1)).rows == 1);
  CHECK(copies->raise(rows, {.origin = "../x"}).error().code == errc::invalid);
  usage_key last;
  CHECK(copies->states_after(copy_origin(7), last, 10).error().code == errc::not_found);
}

TEST_CASE("copies are so many, and have so many rows", "[usage]") {
  temporary_dir dir;
  const auto copies = *usage_copies::open(dir.path());
  std::vector<usage_state> rows;
  for (std::int64_t i = 0; i < 40; ++i)
    rows.push_back({usage_period::minute, usage_dimension::stream, copies_t0_s + 60 * i, "x", {1}});
  constexpr std::size_t nodes = 16;
  for (std::size_t n = 1; n <= nodes; ++n)
    REQUIRE(copies->raise(rows, about_copy(n)).has_value());
  usage_retention keep;
  keep.max_rows = 10 * nodes;
  for (int i = 0; i < 30; ++i)
    REQUIRE(copies->trim(keep, copies_t0_s * 1000, 100).has_value());
  std::uint64_t left = 0;
  for (const auto& [origin, copy] : copies->all())
    left += copy.rows;
  CHECK(left <= keep.max_rows);
  CHECK(left > 0);
}

TEST_CASE("a copy keeps the names of rows whose month is still to come", "[usage]") {
  temporary_dir dir;
  const auto copies = *usage_copies::open(dir.path());
  const auto raise = [&](usage_period period, std::int64_t start_s, const std::string& id) {
    REQUIRE(
        copies
            ->raise(std::vector<usage_state>{{period, usage_dimension::stream, start_s, id, {1}}},
                    about_copy(1))
            .has_value());
  };
  raise(usage_period::day, copies_t0_s, "x");
  raise(usage_period::day, copies_t0_s - 90 * 86'400, "old"); // of an earlier month
  for (int i = 0; i < 3; ++i)
    REQUIRE(copies->trim({}, copies_t0_s * 1000, 100).has_value());
  raise(usage_period::day, copies_t0_s, "y"); // gets no id of theirs
  const auto rows = in_order(all_states(*copies, copy_origin(1)));
  for (const auto* id : {"x", "y"})
    CHECK(rows.at({usage_period::day, usage_dimension::stream, copies_t0_s, id}) == 1);
  CHECK(rows.contains(
      {usage_period::day, usage_dimension::stream, copies_t0_s - 90 * 86'400, "old"}));
}

TEST_CASE("a row without a name is passed over, and holds up nothing", "[usage]") {
  temporary_dir dir;
  const auto copies = *usage_copies::open(dir.path());
  std::vector<usage_state> rows(2,
                                {usage_period::day, usage_dimension::stream, copies_t0_s, "", {1}});
  rows[1].id = "x";
  REQUIRE(copies->raise(rows, about_copy(1)).has_value());
  CHECK(all_states(*copies, copy_origin(1)).size() == 1);
}

TEST_CASE("beyond so many copies no new one is taken", "[usage]") {
  temporary_dir dir;
  constexpr std::size_t max_copies = 3;
  const auto copies = *usage_copies::open(dir.path(), nullptr, max_copies);
  for (std::size_t n = 1; n <= max_copies; ++n)
    REQUIRE(copies->raise({}, about_copy(n)).has_value());
  CHECK(copies->raise({}, about_copy(max_copies + 1)).error().code == errc::unavailable);
  CHECK(copies->raise({}, about_copy(1)).has_value());
  CHECK(copies->all().size() == max_copies);
  CHECK(copies->is_full());
}

TEST_CASE("a copy goes when its last row has gone and its node is not heard of", "[usage]") {
  temporary_dir dir;
  constexpr std::size_t max_copies = 3;
  const auto now_ms = copies_t0_s * 1000;
  const std::vector<usage_state> minute{
      {usage_period::minute, usage_dimension::stream, copies_t0_s - 90 * 86'400, "x", {1}}};
  const std::vector<usage_state> month{
      {usage_period::month, usage_dimension::stream, copies_t0_s - 90 * 86'400, "y", {1}}};
  const auto copies = *usage_copies::open(dir.path(), nullptr, max_copies);
  REQUIRE(copies->raise(minute, about_copy(1, now_ms - 90 * 86'400'000LL)).has_value());
  REQUIRE(copies->raise(minute, about_copy(2, now_ms - usage_empty_copy_ms + 1)).has_value());
  REQUIRE(copies->raise(month, about_copy(3, now_ms - 90 * 86'400'000LL)).has_value());
  CHECK(copies->raise({}, about_copy(4)).has_error());
  const auto trim_all = [&](usage_copies& which, std::int64_t at_ms) {
    for (std::size_t i = 0; i <= max_copies; ++i)
      REQUIRE(which.trim({}, at_ms, 100).has_value());
  };
  trim_all(*copies, now_ms);
  CHECK_FALSE(copies->all().contains(copy_origin(1)));
  CHECK(copies->all().contains(copy_origin(2))); // its node may count on
  CHECK(copies->all().contains(copy_origin(3))); // months are for ever
  CHECK(copies->raise(month, about_copy(4)).has_value());
  SECTION("and is taken again, should the node come back") {
    trim_all(*copies, now_ms + 1);
    CHECK_FALSE(copies->all().contains(copy_origin(2)));
    REQUIRE(copies->raise(month, about_copy(2, now_ms)).has_value());
    CHECK(copies->all().at(copy_origin(2)).rows == 1);
  }
  const auto again = *usage_copies::open(dir.path(), nullptr, max_copies);
  CHECK(again->all().size() == copies->all().size());
  CHECK(all_states(*again, copy_origin(3)).size() == 1);
  for (const auto& [origin, copy] : copies->all())
    CHECK(again->all().at(origin).rows == copy.rows);
}

TEST_CASE("sizes that are none are not believed", "[usage]") {
  temporary_dir dir;
  const auto file = dir.path() / usage_file_name;
  const std::vector<usage_batch_ptr> batch{traffic(copies_t0_s, "a", 1)};
  std::int64_t begun_ms = 0;
  {
    const auto store = *usage_store::open(dir.path());
    REQUIRE(store->write(batch).has_value());
    begun_ms = store->begun_ms();
  }
  SECTION("keys below 0") {
    tamper(file, "INSERT INTO size VALUES (-1, 5), (-2, 5), (-3, 5), (-4, 5)");
  }
  SECTION("fewer than none") {
    tamper(file, "UPDATE size SET rows = -5");
  }
  SECTION("more than the file has room for") {
    tamper(file, "UPDATE size SET rows = 9000000000000000000 WHERE period < 2");
  }
  SECTION("none at all") {
    tamper(file, "DELETE FROM size");
  }
  const auto store = *usage_store::open(dir.path());
  CHECK(store->rows() == usage_periods);
  CHECK(store->begun_ms() == begun_ms);
}

TEST_CASE("a slot whose number is none is no copy", "[usage]") {
  temporary_dir dir;
  REQUIRE((*usage_copies::open(dir.path()))->raise({}, about_copy(1)).has_value());
  tamper(dir.path() / usage_copies_file_name,
         "INSERT INTO origin(slot, origin) VALUES (-1, '" + copy_origin(2) + "'), (" +
             std::to_string(max_usage_slot + 1) + ", '" + copy_origin(3) + "')");
  const auto copies = *usage_copies::open(dir.path());
  CHECK(copies->all().size() == 1);
  CHECK(copies->all().contains(copy_origin(1)));
}

TEST_CASE("a copy stays while it has rows, whatever its sizes say", "[usage]") {
  temporary_dir dir;
  const std::vector<usage_state> month{
      {usage_period::month, usage_dimension::stream, copies_t0_s, "x", {1}}};
  REQUIRE((*usage_copies::open(dir.path()))->raise(month, about_copy(1)).has_value());
  tamper(dir.path() / usage_copies_file_name, "UPDATE size SET rows = 0");
  const auto copies = *usage_copies::open(dir.path());
  REQUIRE(copies->all().at(copy_origin(1)).rows == 0);
  for (int i = 0; i < 2; ++i)
    REQUIRE(copies->trim({}, copies_t0_s * 1000, 100).has_value());
  REQUIRE(copies->all().contains(copy_origin(1)));
  CHECK(copies->all().at(copy_origin(1)).rows == 1);
  CHECK((*usage_copies::open(dir.path()))->all().at(copy_origin(1)).rows == 1);
}

TEST_CASE("a slot's number is given out once", "[usage][bounds]") {
  temporary_dir dir;
  const auto file = dir.path() / usage_copies_file_name;
  const std::vector<usage_state> month{
      {usage_period::month, usage_dimension::stream, copies_t0_s, "x", {1}}};
  const auto slot_of = [&](std::size_t n) {
    return number_in(file, "SELECT slot FROM origin WHERE origin = '" + copy_origin(n) + "'");
  };
  REQUIRE((*usage_copies::open(dir.path()))->raise({}, about_copy(1)).has_value());
  const auto first = slot_of(1);
  SECTION("also when the copy has gone") {
    const auto copies = *usage_copies::open(dir.path());
    REQUIRE(copies->trim({}, copies_t0_s * 1000, 100).has_value());
    REQUIRE(copies->all().empty());
    REQUIRE((*usage_copies::open(dir.path()))->raise(month, about_copy(2)).has_value());
    CHECK(slot_of(2) > first);
  }
  SECTION("also when there are rows of nobody") {
    REQUIRE((*usage_copies::open(dir.path()))->raise(month, about_copy(1)).has_value());
    tamper(file, "DELETE FROM origin");
    const auto copies = *usage_copies::open(dir.path());
    REQUIRE(copies->raise({}, about_copy(2)).has_value());
    CHECK(slot_of(2) > first);
    CHECK(all_states(*copies, copy_origin(2)).empty());
  }
  SECTION("until there are no more") {
    tamper(file, "UPDATE origin SET slot = " + std::to_string(max_usage_slot - 1));
    const auto copies = *usage_copies::open(dir.path());
    REQUIRE(copies->raise(month, about_copy(2)).has_value());
    CHECK(slot_of(2) == max_usage_slot);
    CHECK(all_states(*copies, copy_origin(2)).size() == 1);
    CHECK(copies->raise(month, about_copy(3)).error().code == errc::unavailable);
  }
}

TEST_CASE("the copy with the most rows gives some up first, until all fit", "[usage]") {
  temporary_dir dir;
  const auto copies = *usage_copies::open(dir.path());
  const auto raise = [&](std::size_t n, std::int64_t minutes) {
    std::vector<usage_state> rows;
    for (std::int64_t i = 0; i < minutes; ++i)
      rows.push_back(
          {usage_period::minute, usage_dimension::stream, copies_t0_s + 60 * i, "x", {1}});
    REQUIRE(copies->raise(rows, about_copy(n)).has_value());
  };
  for (const std::size_t n : {1, 2, 4})
    raise(n, 10);
  raise(3, 400);
  usage_retention keep;
  keep.max_rows = 100;
  CHECK(*copies->trim(keep, copies_t0_s * 1000, 200));
  CHECK(copies->all().at(copy_origin(3)).rows == 200);
  CHECK_FALSE(*copies->trim(keep, copies_t0_s * 1000, 200));
  CHECK(copies->all().at(copy_origin(3)).rows == 25);
  CHECK(copies->all().at(copy_origin(4)).rows == 10);
}

TEST_CASE("a size that says too much holds up no other copy", "[usage]") {
  temporary_dir dir;
  const std::vector<usage_state> old{
      {usage_period::minute, usage_dimension::stream, copies_t0_s - 90 * 86'400, "x", {1}}};
  {
    const auto copies = *usage_copies::open(dir.path());
    for (const std::size_t n : {1, 2})
      REQUIRE(copies->raise(old, about_copy(n, copies_t0_s * 1000)).has_value());
  }
  tamper(dir.path() / usage_copies_file_name, "UPDATE size SET rows = 1000 WHERE period = 4");
  const auto copies = *usage_copies::open(dir.path());
  REQUIRE(copies->all().at(copy_origin(1)).rows == 1000);
  usage_retention keep;
  keep.max_rows = 100;
  for (int i = 0; i < 4; ++i)
    REQUIRE(copies->trim(keep, copies_t0_s * 1000, 200).has_value());
  for (const std::size_t n : {1, 2})
    CHECK(copies->all().at(copy_origin(n)).rows == 0);
}
