#include "storage/stores/cursor_store.hpp"

#include "tests/unit/storage/support.hpp"

#include <algorithm>

using namespace penstock;
using namespace penstock::test;

namespace {

std::unique_ptr<cursor_store> cursor_store_in(const std::filesystem::path& dir,
                                              std::uint64_t reserve_bytes = 1 << 16) {
  auto opened = cursor_store::open(dir, reserve_bytes);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

cursor position(const std::string& stream, std::uint64_t seq) {
  return cursor{stream, "queue", seq, {}};
}

} // namespace

TEST_CASE("cursors come back after a reopen, the last of each", "[cursors]") {
  temporary_dir dir;
  {
    auto store = cursor_store_in(dir.path());
    CHECK(store->load()->empty());
    auto ahead = position("errors", 100);
    ahead.acked_ahead = {{105, 105}, {110, 1ull << 62}};
    require_ok(store->save({position("default", 5), ahead}));
    require_ok(store->save({position("default", 9)}));
  }
  auto loaded = cursor_store_in(dir.path())->load();
  require_ok(loaded);
  REQUIRE(loaded->size() == 2);
  std::sort(loaded->begin(), loaded->end(),
            [](const cursor& a, const cursor& b) { return a.stream < b.stream; });
  CHECK(loaded->at(0).seq == 9);
  CHECK(loaded->at(0).acked_ahead.empty());
  CHECK(loaded->at(1).sink == "queue");
  CHECK(loaded->at(1).seq == 100);
  CHECK(loaded->at(1).acked_ahead ==
        std::vector<std::pair<std::uint64_t, std::uint64_t>>{{105, 105}, {110, 1ull << 62}});
}

TEST_CASE("no more ranges are kept than the named bound", "[cursors]") {
  temporary_dir dir;
  auto store = cursor_store_in(dir.path());
  auto many = position("default", 1);
  for (std::uint64_t i = 0; i < max_acked_ranges + 10; ++i)
    many.acked_ahead.emplace_back(10 + 2 * i, 10 + 2 * i);
  require_ok(store->save({many}));
  auto loaded = store->load();
  REQUIRE(loaded->size() == 1);
  REQUIRE(loaded->front().acked_ahead.size() == max_acked_ranges);
  CHECK(loaded->front().acked_ahead.front().first == 10);
}

TEST_CASE("a reserve that was given back is taken again without a save", "[cursors]") {
  temporary_dir dir;
  auto store = cursor_store_in(dir.path());
  const auto reserve = dir.path() / "cursors.reserve";
  REQUIRE(std::filesystem::file_size(reserve) == 1 << 16);
  std::filesystem::remove(reserve);
  store->restore_reserve();
  CHECK(std::filesystem::file_size(reserve) == 1 << 16);
}

TEST_CASE("cursors of streams that are gone are dropped, those of all lanes", "[cursors]") {
  temporary_dir dir;
  auto store = cursor_store_in(dir.path());
  std::vector<cursor> saved;
  for (const auto* sink : {"bus", "bus#0/2", "bus#1/2", "bus2#0/1", "queue"})
    for (const auto* stream : {"a", "b", "c"})
      saved.push_back({stream, sink, 5, {}});
  require_ok(store->save(saved));
  require_ok(store->forget("bus", {"a", "b", "nothing"}));
  const auto left = store->load();
  require_ok(left);
  CHECK(left->size() == 3 + 3 + 3);
  for (const auto& one : *left)
    CHECK((one.stream == "c" || one.sink == "queue" || one.sink == "bus2#0/1"));
}

TEST_CASE("a position of an earlier version that no journal can have reached is damage",
          "[cursors]") {
  for (const auto seq : {1ull << 62, 1ull << 63, ~0ull}) {
    CAPTURE(seq);
    temporary_dir dir;
    require_ok(cursor_store_in(dir.path())->save({position("default", 7), position("errors", 9)}));
    {
      auto db = sqlite_database::open(dir.path() / "cursors.db", sqlite_mode::read_write, {});
      require_ok(db);
      // Rows without a checksum; a number above 2^63 is a negative one to SQLite.
      const auto set = "UPDATE cursor SET acked_ahead = '[]', seq = " +
                       std::to_string(static_cast<std::int64_t>(seq)) + " WHERE stream = 'default'";
      require_ok(db->exec(set.c_str()));
    }
    std::vector<std::string> damaged;
    auto loaded = cursor_store_in(dir.path())->load(&damaged);
    require_ok(loaded);
    REQUIRE(loaded->size() == 2);
    for (const auto& one : *loaded)
      CHECK(one.seq == (one.stream == "default" ? 0 : 9));
    REQUIRE(damaged.size() == 1);
    CHECK(damaged[0].find("is damaged and not believed") != std::string::npos);
  }
}
