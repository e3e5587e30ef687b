// usage.db against a naive model: roll-up, reports, retention, and the cap.
#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/usage_reader.hpp"
#include "storage/stores/usage_store.hpp"
#include "tests/unit/storage/support.hpp"

#include <map>
#include <random>
#include <set>
#include <tuple>

using namespace penstock;
using penstock::test::temporary_dir;

namespace {

constexpr std::int64_t t0 = 1'796'083'200; // 2026-12-01T00:00:00Z
constexpr std::int64_t hour_s = 3600, day_s = 86'400;
constexpr std::size_t slice = 1000;

using model_key = std::tuple<usage_period, usage_dimension, std::int64_t, std::string>;
using model = std::map<model_key, usage_counts>;

struct world {
  temporary_dir dir;
  std::unique_ptr<usage_store> store;
  std::unique_ptr<usage_reader> reader;
  model expected;

  world() { open(); }
  void open() {
    reader.reset();
    store.reset();
    auto opened = usage_store::open(dir.path());
    REQUIRE(opened.has_value());
    store = std::move(*opened);
    auto reading = usage_reader::open(dir.path());
    REQUIRE(reading.has_value());
    reader = std::move(*reading);
  }

  void note(const usage_batch& batch) {
    for (std::size_t p = 0; p < usage_periods; ++p)
      for (std::size_t d = 0; d < usage_dimensions; ++d)
        for (const auto& entry : batch.entries[d]) {
          const auto period = static_cast<usage_period>(p);
          expected[{period, static_cast<usage_dimension>(d),
                    bucket_start_s(period, batch.time_ms / 1000), entry.id}] += entry.counts;
        }
  }
  void write(std::vector<usage_batch> batches) {
    std::vector<usage_batch_ptr> shared;
    for (auto& batch : batches) {
      note(batch);
      shared.push_back(std::make_shared<const usage_batch>(std::move(batch)));
    }
    REQUIRE(store->write(shared).has_value());
  }
  void write_one(std::int64_t time_s, usage_dimension by, const std::string& id,
                 usage_counts counts) {
    usage_batch batch;
    batch.time_ms = time_s * 1000;
    batch.entries[static_cast<std::size_t>(by)].push_back({id, counts});
    write({std::move(batch)});
  }
  usage_report report(const usage_query& query) {
    auto done = reader->run(query, [] { return false; });
    REQUIRE(done.has_value());
    return std::move(*done);
  }
  std::int64_t number(const std::string& sql) {
    auto db = sqlite_database::open(dir.path() / "usage.db", sqlite_mode::read_only);
    REQUIRE(db.has_value());
    auto query = db->prepare(sql);
    REQUIRE(query.has_value());
    REQUIRE(*query->step());
    return query->integer(0);
  }
};

usage_counts counts_of(std::uint64_t n) {
  return {n, 2 * n, 300 * n, n / 3};
}

/// What a report must say, added up from the model.
usage_report expected_top(const model& all, const usage_query& query) {
  std::map<std::string, usage_counts> sums;
  usage_report out;
  for (const auto& [key, counts] : all) {
    const auto& [period, by, start, id] = key;
    if (period != query.per || by != query.by || start >= query.to_s ||
        start < bucket_start_s(query.per, query.from_s))
      continue;
    sums[id] += counts;
    out.total += counts;
  }
  out.ids = sums.size();
  for (const auto& [id, counts] : sums)
    out.rows.push_back({id, 0, counts});
  std::stable_sort(out.rows.begin(), out.rows.end(), [](const auto& a, const auto& b) {
    return a.counts.requests > b.counts.requests;
  });
  out.rows.resize(std::min<std::size_t>(out.rows.size(), query.top));
  return out;
}

} // namespace

TEST_CASE("buckets of time: floors, months of every length, and before 1970", "[usage]") {
  CHECK(bucket_start_s(usage_period::minute, 119) == 60);
  CHECK(bucket_start_s(usage_period::hour, 7199) == 3600);
  CHECK(bucket_start_s(usage_period::day, t0 + day_s - 1) == t0);
  CHECK(bucket_start_s(usage_period::month, t0 + 30 * day_s) == t0);
  CHECK(bucket_start_s(usage_period::month, t0 - 1) == t0 - 30 * day_s);
  CHECK(next_bucket_s(usage_period::month, t0) == t0 + 31 * day_s);
  CHECK(next_bucket_s(usage_period::month, 951'782'400 - 28 * day_s) ==
        951'782'400 + day_s); // February 2000 had 29 days
  CHECK(bucket_start_s(usage_period::minute, -1) == -60);
  for (auto period :
       {usage_period::minute, usage_period::hour, usage_period::day, usage_period::month})
    CHECK(parse_usage_period(name_of(period)) == period);
  for (std::size_t d = 0; d < usage_dimensions; ++d)
    CHECK(parse_usage_dimension(name_of(static_cast<usage_dimension>(d))) ==
          static_cast<usage_dimension>(d));
  CHECK_FALSE(parse_usage_dimension("Account"));
  CHECK_FALSE(parse_usage_period("year"));
}

TEST_CASE("what is written is rolled up exactly in every period and dimension", "[usage]") {
  world w;
  std::mt19937 random{11};
  const auto pick = [&](unsigned n) { return static_cast<int>(random() % n); };
  for (int round = 0; round < 60; ++round) {
    std::vector<usage_batch> batches;
    for (int b = pick(4); b >= 0; --b) {
      usage_batch batch;
      // Over three months, with many in the same minutes, and not in order.
      batch.time_ms = (t0 + pick(80) * day_s + pick(3) * hour_s + pick(5) * 61) * 1000 + pick(1000);
      for (auto& list : batch.entries)
        for (int e = pick(12); e > 0; --e)
          list.push_back({"id-" + std::to_string(pick(40)),
                          counts_of(static_cast<std::uint64_t>(1 + pick(50)))});
      batches.push_back(std::move(batch));
    }
    w.write(std::move(batches));
    if (round % 20 == 19) w.open();
  }
  CHECK(w.store->rows() == w.expected.size());
  std::size_t checked = 0;
  for (std::size_t p = 0; p < usage_periods; ++p)
    for (std::size_t d = 0; d < usage_dimensions; ++d) {
      usage_query query;
      query.per = static_cast<usage_period>(p);
      query.by = static_cast<usage_dimension>(d);
      for (const auto& [from, to] : std::vector<std::pair<std::int64_t, std::int64_t>>{
               {t0, t0 + 100 * day_s},
               {t0 + 10 * day_s + 77, t0 + 40 * day_s + 3 * hour_s + 59},
               {t0 + 20 * day_s, t0 + 20 * day_s},
               {0, t0}}) {
        query.from_s = from;
        query.to_s = to;
        const auto got = w.report(query);
        const auto want = expected_top(w.expected, query);
        CHECK(got.total == want.total);
        CHECK(got.ids == want.ids);
        REQUIRE(got.rows.size() == want.rows.size());
        for (std::size_t i = 0; i < got.rows.size(); ++i)
          CHECK(got.rows[i].counts.requests == want.rows[i].counts.requests);
        checked += got.rows.size();
      }
      query.from_s = t0;
      query.to_s = t0 + (query.per == usage_period::minute ? 6 : 100) * day_s;
      query.id = "id-7";
      std::map<std::int64_t, usage_counts> buckets;
      for (const auto& [key, counts] : w.expected)
        if (std::get<0>(key) == query.per && std::get<1>(key) == query.by &&
            std::get<3>(key) == "id-7" && std::get<2>(key) < query.to_s)
          buckets[std::get<2>(key)] = counts;
      const auto got = w.report(query);
      REQUIRE(got.rows.size() == buckets.size());
      for (const auto& row : got.rows)
        CHECK(buckets.at(row.start_s) == row.counts);
    }
  CHECK(checked > 400);
}

TEST_CASE("the top: order, ties, what it is ordered by, and names in several passes", "[usage]") {
  world w;
  usage_batch batch;
  batch.time_ms = t0 * 1000;
  auto& streams = batch.entries[static_cast<std::size_t>(usage_dimension::stream)];
  for (int i = 0; i < 50; ++i)
    streams.push_back({"s" + std::to_string(i),
                       {static_cast<std::uint64_t>(1 + i % 10), static_cast<std::uint64_t>(i),
                        static_cast<std::uint64_t>(1000 - i), i == 3 ? 9u : 0u}});
  w.write({batch});
  usage_query query{.by = usage_dimension::stream,
                    .per = usage_period::day,
                    .from_s = t0,
                    .to_s = t0 + 1,
                    .top = 6,
                    .id = {}};
  auto got = w.report(query);
  CHECK(got.ids == 50);
  std::vector<std::string> ids;
  for (const auto& row : got.rows)
    ids.push_back(row.id);
  CHECK(ids == std::vector<std::string>{"s9", "s19", "s29", "s39", "s49", "s8"});
  query.top = 1;
  query.order = usage_order::events;
  CHECK(w.report(query).rows.at(0).id == "s49");
  query.order = usage_order::bytes;
  CHECK(w.report(query).rows.at(0).id == "s0");
  query.order = usage_order::refused;
  CHECK(w.report(query).rows.at(0).id == "s3");
  query.top = 0;
  CHECK(w.report(query).rows.empty());
  CHECK(w.report(query).ids == 50);

  // A name far beyond one pass, and rows beyond one slice.
  {
    auto db = sqlite_database::open(w.dir.path() / "usage.db", sqlite_mode::read_write);
    REQUIRE(db.has_value());
    const auto last = std::to_string(3 * usage_names_a_pass);
    REQUIRE(
        db->exec(("INSERT INTO name VALUES (" + last +
                  ", 'far', 0);"
                  "INSERT INTO day VALUES (4, " +
                  std::to_string(t0) + ", " + last +
                  ", 77, 1, 1, 1);"
                  "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                  std::to_string(1000 + 2 * usage_rows_a_slice) + ") INSERT INTO day SELECT 4, " +
                  std::to_string(t0) + ", i, 1, 1, 1, 0 FROM n")
                     .c_str())
            .has_value());
  }
  query.top = 1;
  query.order = usage_order::requests;
  got = w.report(query);
  CHECK(got.rows.at(0).id == "far");
  CHECK(got.rows.at(0).counts.requests == 77);
  CHECK(got.ids == 50 + 1 + 2 * usage_rows_a_slice + 1);
}

TEST_CASE("a report is given up when asked to, and refuses endless ranges", "[usage]") {
  world w;
  w.write_one(t0, usage_dimension::ip, "a", counts_of(1));
  {
    auto db = sqlite_database::open(w.dir.path() / "usage.db", sqlite_mode::read_write);
    REQUIRE(db.has_value());
    REQUIRE(db->exec(("WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < "
                      "50000) INSERT INTO minute SELECT 2, " +
                      std::to_string(t0) + ", i, 1, 1, 1, 0 FROM n")
                         .c_str())
                .has_value());
  }
  usage_query query{.per = usage_period::minute, .from_s = t0, .to_s = t0 + 60, .id = {}};
  int asked = 0;
  const auto stopped = w.reader->run(query, [&] { return ++asked > 3; });
  REQUIRE_FALSE(stopped.has_value());
  CHECK(stopped.error().code == errc::unavailable);
  CHECK(w.report(query).ids > 0); // and works again
  query.id = "a";
  query.to_s = t0 + (max_usage_buckets + 1) * 60;
  const auto endless = w.reader->run(query, [] { return false; });
  REQUIRE_FALSE(endless.has_value());
  CHECK(endless.error().code == errc::invalid);
  query.to_s -= 60;
  CHECK(w.report(query).rows.size() == 1);
  query.id = "nobody";
  CHECK(w.report(query).rows.empty());
}

TEST_CASE("what is past its time goes, in slices, and nothing else", "[usage]") {
  world w;
  for (int i = 0; i < 50; ++i)
    for (auto by : {usage_dimension::ip, usage_dimension::stream})
      w.write_one(t0 + i * 2 * hour_s, by, "n" + std::to_string(i % 5), counts_of(3));
  usage_retention keep;
  keep.keep_ms = {std::chrono::hours{10}, std::chrono::hours{48}, std::chrono::hours{72},
                  std::chrono::milliseconds{0}};
  const auto now = t0 + 100 * hour_s;
  int slices = 1;
  for (;; ++slices) {
    const auto before = w.store->rows();
    const auto more = w.store->trim(keep, now * 1000, 7);
    REQUIRE(more.has_value());
    CHECK(before - w.store->rows() <= 7);
    if (!*more) break;
    REQUIRE(slices < 200);
  }
  CHECK(slices > 10);
  for (std::size_t p = 0; p < usage_periods; ++p) {
    const auto period = static_cast<usage_period>(p);
    const auto kept_s = keep.keep_ms[p].count() / 1000;
    const auto first = kept_s == 0 ? 0 : bucket_start_s(period, now - kept_s);
    std::int64_t want = 0;
    for (const auto& [key, counts] : w.expected)
      if (std::get<0>(key) == period && std::get<2>(key) >= first) ++want;
    CHECK(w.number("SELECT count(*) FROM " + std::string{name_of(period)}) == want);
    CHECK(w.number("SELECT coalesce(min(start), 1e12) >= " + std::to_string(first) + " FROM " +
                   std::string{name_of(period)}) == 1);
  }
  const auto rows = w.store->rows();
  w.open();
  CHECK(w.store->rows() == rows); // the count is kept
}

TEST_CASE("beyond the cap the oldest minutes go first, months last, names with them", "[usage]") {
  world w;
  constexpr int months = 6;
  for (int i = 0; i < months * 10; ++i)
    w.write_one(t0 + i * 3 * day_s, usage_dimension::referer, "m" + std::to_string(i),
                counts_of(1));
  usage_retention keep;
  for (auto& one : keep.keep_ms)
    one = std::chrono::milliseconds{0};
  const auto trim = [&](std::uint64_t cap) {
    keep.max_rows = cap;
    for (int i = 0;; ++i) {
      const auto more = w.store->trim(keep, (t0 + months * 30 * day_s) * 1000, 16);
      REQUIRE(more.has_value());
      REQUIRE(i < 1000);
      if (!*more) break;
    }
    CHECK(w.store->rows() == std::min<std::uint64_t>(cap, w.store->rows()));
  };
  CHECK(w.store->rows() == 240);
  trim(230);
  CHECK(w.number("SELECT count(*) FROM minute") == 50);
  CHECK(w.number("SELECT min(start) FROM minute") == t0 + 30 * day_s);
  CHECK(w.number("SELECT count(*) FROM hour") == 60);
  trim(70);
  CHECK(w.number("SELECT count(*) FROM minute") == 0);
  CHECK(w.number("SELECT count(*) FROM hour") == 0);
  CHECK(w.number("SELECT count(*) FROM day") == 10);
  CHECK(w.number("SELECT count(*) FROM month") == 60);
  CHECK(w.number("SELECT count(*) FROM name") == 60);
  trim(5);
  CHECK(w.number("SELECT count(*) FROM month") == 5);
  CHECK(w.number("SELECT count(*) FROM name") < 20);
  CHECK(w.number("SELECT count(*) FROM name WHERE text = 'm59'") == 1);
  // A name that went comes again.
  w.write_one(t0 + 200 * day_s, usage_dimension::referer, "m0", counts_of(5));
  usage_query query{.by = usage_dimension::referer,
                    .per = usage_period::month,
                    .from_s = t0 + 190 * day_s,
                    .to_s = t0 + 220 * day_s,
                    .id = {}};
  CHECK(w.report(query).rows.at(0).id == "m0");
  CHECK(w.report(query).rows.at(0).counts == counts_of(5));
}

TEST_CASE("a failed write leaves nothing behind and the next one works", "[usage]") {
  world w;
  w.write_one(t0, usage_dimension::ip, "a", counts_of(1));
  auto other = sqlite_database::open(w.dir.path() / "usage.db", sqlite_mode::read_write);
  REQUIRE(other.has_value());
  REQUIRE(other->exec("BEGIN IMMEDIATE").has_value());
  auto batch = std::make_shared<usage_batch>();
  batch->time_ms = t0 * 1000;
  batch->entries[0].push_back({"b", counts_of(2)});
  const std::vector<usage_batch_ptr> batches{batch};
  CHECK_FALSE(w.store->write(batches).has_value());
  REQUIRE(other->exec("COMMIT").has_value());
  CHECK(w.number("SELECT count(*) FROM name") == 1);
  CHECK(w.store->rows() == 4);
  REQUIRE(w.store->write(batches).has_value());
  CHECK(w.store->rows() == 8);
}
