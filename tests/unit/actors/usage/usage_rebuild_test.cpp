// Usage counted again: what is added, and above all what is not.
#include "actors/usage/usage_rebuild.hpp"

#include "actors/base/utc_time.hpp"
#include "tests/unit/actors/limits/plain_reader.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace penstock;

namespace {

constexpr std::int64_t hour_s = 1'800'000'000 / 3600 * 3600;
constexpr std::int64_t minute_s(int n) {
  return hour_s + n * 60;
}

/// A journal of blocks in memory; events of 10 bytes each.
struct block_reader final : plain_reader {
  result<std::vector<std::shared_ptr<const event_block>>> read(const std::string& stream,
                                                               std::uint64_t after_seq, std::size_t,
                                                               std::vector<std::string>*) override {
    std::vector<std::shared_ptr<const event_block>> out;
    for (const auto& block : blocks)
      if (block->stream == stream && block->last_seq() > after_seq) out.push_back(block);
    if (out.size() > 2) out.resize(2);
    return out;
  }
  std::vector<std::shared_ptr<const event_block>> blocks;
};

struct stored_counts final : usage_reader {
  result<usage_report> run(const usage_query&, const std::function<bool()>&) override {
    return usage_report{};
  }
  result<std::vector<usage_row>> run_part(const usage_query&, std::uint32_t, std::uint32_t,
                                          const std::function<bool()>&) override {
    return std::vector<usage_row>{};
  }
  result<void> visit(usage_dimension by, usage_period per, std::int64_t from_s, std::int64_t to_s,
                     const std::function<void(const usage_row&)>& visit,
                     const std::function<bool()>&) override {
    for (const auto& row : rows[{by, per}])
      if (row.start_s >= from_s && row.start_s < to_s) visit(row);
    return {};
  }
  /// As the store does it: to the minute and to the hour.
  void add(usage_dimension by, const std::string& id, std::int64_t at_s, std::uint64_t events) {
    rows[{by, usage_period::minute}].push_back({id, at_s, {events, events, events * 10, 0}});
    rows[{by, usage_period::hour}].push_back({id, hour_s, {events, events, events * 10, 0}});
  }
  std::map<std::pair<usage_dimension, usage_period>, std::vector<usage_row>> rows;
};

struct rebuild_world {
  segment_catalog catalog;
  block_reader journal;
  stored_counts counts;
  std::vector<std::string> accounts{"acme", "zeta"};
  name_hasher hash = [](std::string_view, std::string_view name) -> std::uint64_t {
    return name == "acme" ? 7 : 8;
  };
  segment_info segment;
  bool is_cluster = false;
  std::int64_t begun_ms = 0;
  bool despite_copies = false;
  std::vector<usage_batch_ptr> corrections;

  rebuild_world() { segment.number = 1; }
  void accept(std::int64_t at_s, std::vector<std::uint64_t> clients,
              const std::string& stream = "s") {
    auto block = std::make_shared<event_block>();
    block->stream = stream;
    block->time_ms = at_s * 1000 + 500;
    block->first_seq = segment.last_seq + 1;
    for (const auto client : clients)
      block->push("0123456789", "text/plain", client);
    segment.last_seq = block->last_seq();
    if (segment.first_seq == 0) segment.first_time_ms = block->time_ms;
    segment.first_seq = 1;
    segment.last_time_ms = block->time_ms;
    segment.events[stream] += block->size();
    segment.body_bytes[stream] += block->bodies.size();
    journal.blocks.push_back(block);
    catalog.put(segment);
  }
  result<usage_rebuilt> rebuild(std::int64_t from_s = minute_s(0), std::int64_t to_s = minute_s(60),
                                std::uint64_t up_to = 1'000'000) {
    return rebuild_usage({from_s, to_s, false, despite_copies},
                         {journal, catalog, counts, accounts, hash, is_cluster, begun_ms, up_to,
                          [](std::uint64_t, std::uint64_t) {}, [] { return false; }},
                         corrections);
  }
  std::uint64_t added(usage_dimension by, const std::string& id) {
    std::uint64_t sum = 0;
    for (const auto& batch : corrections)
      for (const auto& entry : batch->entries[static_cast<std::size_t>(by)])
        if (entry.id == id) {
          CHECK(entry.counts.bytes == entry.counts.events * 10);
          CHECK(entry.counts.requests == 0);
          sum += entry.counts.events;
        }
    return sum;
  }
};

} // namespace

TEST_CASE("a minute gets what it lacks, and nothing that a neighbour has too many of") {
  const auto of = [](std::uint64_t n) { return event_volume{n, n * 10}; };
  const minute_volumes proven{
      {minute_s(1), of(100)}, {minute_s(2), of(100)}, {minute_s(3), of(100)}};
  const auto lacks = [&](const minute_volumes& counted) {
    return shortfall(proven, counted, minute_s(0), minute_s(10));
  };
  CHECK(lacks(proven).empty());
  CHECK(lacks({}) == proven);
  CHECK(lacks({{minute_s(1), of(100)}, {minute_s(2), of(40)}, {minute_s(3), of(100)}}) ==
        minute_volumes{{minute_s(2), of(60)}});
  // Accepted in one minute, counted in the next, or in the one before.
  CHECK(lacks({{minute_s(1), of(98)}, {minute_s(2), of(102)}, {minute_s(3), of(100)}}).empty());
  CHECK(lacks({{minute_s(1), of(102)}, {minute_s(2), of(98)}, {minute_s(3), of(100)}}).empty());
  CHECK(lacks({{minute_s(1), of(100)},
               {minute_s(2), of(100)},
               {minute_s(3), of(97)},
               {minute_s(4), of(3)}})
            .empty());
  // Two that lack share what one between them has too many of.
  CHECK(lacks({{minute_s(1), of(90)}, {minute_s(2), of(115)}, {minute_s(3), of(90)}}) ==
        minute_volumes{{minute_s(3), of(5)}});
  // Far away does not help.
  CHECK(lacks({{minute_s(0), of(0)},
               {minute_s(1), of(150)},
               {minute_s(2), of(100)},
               {minute_s(3), of(60)}}) == minute_volumes{{minute_s(3), of(40)}});
  CHECK(shortfall(proven, {}, minute_s(2), minute_s(3)) == minute_volumes{{minute_s(2), of(100)}});
}

TEST_CASE("streams and known accounts are made whole; other clients count for streams alone") {
  rebuild_world w;
  w.accept(minute_s(5), {7, 7, 8, 99});
  w.accept(minute_s(6), {7, 99}, "t");
  w.counts.add(usage_dimension::stream, "s", minute_s(5), 1);
  w.counts.add(usage_dimension::account, "zeta", minute_s(5), 1);
  const auto done = w.rebuild();
  REQUIRE(done.has_value());
  CHECK(w.added(usage_dimension::stream, "s") == 3);
  CHECK(w.added(usage_dimension::stream, "t") == 2);
  CHECK(w.added(usage_dimension::account, "acme") == 3);
  CHECK(w.added(usage_dimension::account, "zeta") == 0);
  CHECK(done->read == event_volume{6, 60});
  CHECK(done->no_account == event_volume{2, 20});
  CHECK(done->added_streams.events == 5);
  CHECK(done->added_accounts.events == 3);
  CHECK(done->corrected_ids == 3);
  REQUIRE(done->ids.size() == 3);
  CHECK(done->ids[0].added.events == 3);
}

TEST_CASE("what came after the rebuild was asked for is not its business") {
  rebuild_world w;
  w.accept(minute_s(5), {7, 7, 7, 7});
  w.accept(minute_s(5), {7, 7});
  REQUIRE(w.rebuild(minute_s(0), minute_s(60), 3).has_value());
  CHECK(w.added(usage_dimension::stream, "s") == 3);
  CHECK(w.added(usage_dimension::account, "acme") == 3);
}

TEST_CASE("hours whose minutes are gone, and minutes counted under (other), are left alone") {
  rebuild_world w;
  w.accept(minute_s(5), {7, 7});
  w.counts.rows[{usage_dimension::stream, usage_period::hour}].push_back(
      {"s", hour_s, {2, 2, 20, 0}}); // its minutes have been deleted
  w.counts.add(usage_dimension::account, std::string{other_usage_id}, minute_s(5), 2);
  const auto done = w.rebuild();
  REQUIRE(done.has_value());
  CHECK(w.corrections.empty());
  CHECK(done->skipped == 2);
}

TEST_CASE("a journal that has retired something proves only what came well after its beginning") {
  rebuild_world w;
  w.segment.number = 2;
  for (int i = 5; i <= 8; ++i)
    w.accept(minute_s(i), {7});
  const auto done = w.rebuild();
  REQUIRE(done.has_value());
  CHECK(done->covered_from_s == minute_s(7));
  CHECK(w.added(usage_dimension::stream, "s") == 2);
  CHECK(w.rebuild(minute_s(0), minute_s(6)).error().code == errc::not_found);
}

TEST_CASE("in a cluster, events that other nodes may have counted stop a rebuild") {
  rebuild_world w;
  w.segment.keys = 1;
  w.accept(minute_s(5), {7});
  REQUIRE(w.rebuild().has_value());
  w.is_cluster = true;
  CHECK(w.rebuild().error().code == errc::invalid);
}

TEST_CASE("in a cluster, what an earlier usage.db may have counted is not counted again") {
  rebuild_world w;
  w.is_cluster = true;
  w.accept(minute_s(5), {7});
  w.begun_ms = minute_s(6) * 1000 + 30'000; // the earlier one was lost
  w.accept(minute_s(7), {7});
  w.accept(minute_s(8), {7});
  const auto refused = w.rebuild();
  REQUIRE(refused.has_error());
  CHECK(refused.error().code == errc::invalid);
  // When it began, and from when on it may be asked for.
  CHECK(refused.error().message.find(utc_time(w.begun_ms)) != std::string::npos);
  CHECK(refused.error().message.find(utc_time(minute_s(7) * 1000)) != std::string::npos);
  CHECK(w.corrections.empty());
  SECTION("from that time on") {
    REQUIRE(w.rebuild(minute_s(7)).has_value());
    CHECK(w.added(usage_dimension::stream, "s") == 2);
  }
  SECTION("as somebody says that there is no copy") {
    w.despite_copies = true;
    REQUIRE(w.rebuild().has_value());
    CHECK(w.added(usage_dimension::stream, "s") == 3);
  }
  SECTION("on a node alone") {
    w.is_cluster = false;
    REQUIRE(w.rebuild().has_value());
    CHECK(w.added(usage_dimension::stream, "s") == 3);
  }
  SECTION("a new node's journal has nothing from before") {
    w.begun_ms = minute_s(5) * 1000;
    REQUIRE(w.rebuild().has_value());
    CHECK(w.added(usage_dimension::stream, "s") == 3);
  }
}

TEST_CASE("a rebuild holds so many sums, and refuses a range with more") {
  rebuild_world w;
  for (int i = 0; i < 40; ++i)
    w.accept(minute_s(i), {99}, "s" + std::to_string(i));
  const auto run = [&w](std::size_t most) {
    return rebuild_usage({minute_s(0), minute_s(60), true},
                         {.journal = w.journal,
                          .catalog = w.catalog,
                          .counts = w.counts,
                          .accounts = w.accounts,
                          .hash = w.hash,
                          .is_cluster = false,
                          .begun_ms = 0,
                          .up_to_seq = 1'000'000,
                          .progress = [](std::uint64_t, std::uint64_t) {},
                          .give_up = [] { return false; },
                          .max_sums = most},
                         w.corrections);
  };
  CHECK(run(40).has_value());
  const auto refused = run(39);
  REQUIRE(refused.has_error());
  CHECK(refused.error().code == errc::invalid);
  CHECK(refused.error().message.find("39") != std::string::npos);
}
