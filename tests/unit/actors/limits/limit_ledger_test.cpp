// Many plans, scopes and clients: what is counted for whom, and what stays when plans change.
#include "actors/base/shards.hpp"
#include "actors/limits/limit_ledger.hpp"
#include "actors/limits/limit_messages.hpp"
#include "tests/unit/actors/limits/durations.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace penstock;

namespace {

constexpr std::int64_t ledger_start = 1'700'000'000 * second_ns;

limit hourly(const char* name, std::uint32_t amount, limit_scope scope = limit_scope::account) {
  return {.name = name,
          .kind = algorithm::fixed_window,
          .amount = amount,
          .window_ns = 3600 * second_ns,
          .scope = scope};
}

plan_list shared_plans(std::vector<plan> plans) {
  return std::make_shared<const std::vector<plan>>(std::move(plans));
}

// A ledger at a time, with requests by plan's name.
struct world {
  explicit world(std::vector<plan> plans, std::size_t max_clients = 1000)
      : ledger(shared_plans(std::move(plans)), max_clients, labels) {}

  verdict ask(const char* plan, std::uint64_t client, std::uint32_t events = 1,
              std::uint64_t key = 0, const char* stream = "default",
              limit_mask limits = all_limits) {
    return ledger
        .decide({.client = client,
                 .key = key,
                 .plan = plan_id(plan),
                 .stream = stream_id(stream),
                 .events = events,
                 .limits = limits},
                {}, now)
        .answer;
  }
  limits_reply look(const char* plan, std::uint64_t client, std::uint64_t key = 0,
                    const char* stream = "default") {
    return ledger.look_up({1, client, key, plan_id(plan), stream_id(stream)}, now);
  }

  std::shared_ptr<limit_labels> labels = std::make_shared<limit_labels>();
  std::int64_t now = ledger_start;
  limit_ledger ledger;
};

} // namespace

TEST_CASE("each plan counts its own clients", "[ledger]") {
  world w({{"free", {hourly("h", 10)}}, {"pro", {hourly("q", 100)}}, {"open", {}}});
  CHECK(w.ask("free", 1, 50).granted == 10);
  CHECK(w.ask("free", 2, 50).granted == 10);
  CHECK(w.ask("pro", 1, 50).granted == 50);
  CHECK(w.ask("open", 1, 5000).granted == 5000);
  CHECK(w.ledger.size() == 3);
  const verdict unknown = w.ask("none", 1);
  CHECK(unknown.granted == 0);
  CHECK(unknown.reason == static_cast<std::uint8_t>(refusal::unknown_plan));
  CHECK(unknown.limit == verdict::no_limit);
}

TEST_CASE("a verdict tells which version of its plan it is of", "[ledger]") {
  const auto of = [](std::uint32_t amount) { return plan{"p", {hourly("h", amount)}}; };
  world w({of(10)});
  CHECK(w.ask("p", 1).plan_digest == plan_digest(of(10)));
  w.ledger.change_plans(std::make_shared<const std::vector<plan>>(std::vector{of(11)}), 0);
  CHECK(w.ask("p", 1).plan_digest == plan_digest(of(11)));
}

TEST_CASE("a limit counts the account, its key or its stream", "[ledger]") {
  world w({{"p",
            {hourly("account", 100), hourly("key", 30, limit_scope::key),
             hourly("stream", 20, limit_scope::stream)}}});
  // Two keys of an account, in two streams.
  CHECK(w.ask("p", 7, 20, 1, "a").granted == 20);
  CHECK(w.ask("p", 7, 20, 1, "a").limit == 2);    // the stream's 20 are used
  CHECK(w.ask("p", 7, 20, 1, "b").granted == 10); // the key's 30 are
  CHECK(w.ask("p", 7, 20, 2, "b").granted == 10); // the stream's other 10
  CHECK(w.ask("p", 7, 20, 2, "c").granted == 20);
  CHECK(w.ask("p", 7, 20, 3, "d").granted == 20);
  CHECK(w.ask("p", 7, 20, 4, "e").granted == 20); // the account's 100 are used now
  const verdict last = w.ask("p", 7, 1, 5, "f");
  CHECK(last.granted == 0);
  CHECK(last.limit == 0);
  // Another account, and so another key, has its own in streams of the same names.
  CHECK(w.ask("p", 8, 20, 11, "a").granted == 20);
  // Without a key the client is its own.
  CHECK(w.ask("p", 9, 20, 0, "a").granted == 20);
  CHECK(w.ask("p", 9, 20, 0, "b").granted == 10);
}

TEST_CASE("only limits that apply count", "[ledger]") {
  world w({{"p", {hourly("a", 5), hourly("b", 9, limit_scope::stream)}}});
  CHECK(w.ask("p", 1, 20, 0, "s", 0b10).granted == 9);
  CHECK(w.ask("p", 1, 20, 0, "s", 0b01).granted == 5);
  CHECK(w.ask("p", 1, 20, 0, "s", 0).granted == 20);
}

TEST_CASE("where a scope's use is counted lies in the client's shard", "[ledger]") {
  std::map<std::uint64_t, int> seen;
  for (std::uint64_t client : {0x0123456789abcdefull, 0xff00000000000001ull, 0x7full})
    for (std::uint64_t other = 1; other < 100; ++other)
      for (auto scope : {limit_scope::key, limit_scope::stream}) {
        const auto place =
            counted_for(scope, client, other << 40, static_cast<std::uint32_t>(other));
        CHECK(shard_of(place) == shard_of(client));
        ++seen[place];
      }
  CHECK(seen.size() == 3 * 99 * 2);
  CHECK(counted_for(limit_scope::account, 5, 6, 7) == 5);
}

TEST_CASE("a client new to a plan takes over what it used under another", "[ledger]") {
  limit month{
      .name = "month", .kind = algorithm::calendar, .amount = 1000, .unit = calendar_unit::month};
  limit more = month;
  more.amount = 5000;
  world w({{"free", {month, hourly("h", 50)}}, {"pro", {hourly("other", 9), more}}});
  CHECK(w.ask("free", 1, 40).granted == 40);
  CHECK(w.look("pro", 1).limits[1].used == 40); // told before the first request, too
  CHECK(w.ask("pro", 1, 5).granted == 5);
  CHECK(w.look("pro", 1).limits[0].used == 5);
  CHECK(w.look("pro", 1).limits[1].used == 45);
  CHECK(w.look("free", 1).limits[0].used == 40);
  // Another client's use is not its affair, nor what is of another kind or scope.
  CHECK(w.look("pro", 2).limits[1].used == 0);
  world scopes({{"a", {hourly("h", 50)}}, {"b", {hourly("h", 50, limit_scope::key)}}});
  CHECK(scopes.ask("a", 1, 30).granted == 30);
  CHECK(scopes.ask("b", 1, 50).granted == 50);
  // Of several, the one that leaves least counts.
  world three({{"a", {hourly("h", 50)}}, {"b", {hourly("h", 50)}}, {"c", {hourly("h", 60)}}});
  three.ask("a", 1, 10);
  CHECK(three.ask("b", 1, 50).granted == 40);
  CHECK(three.ask("c", 1, 60).granted == 10);
}

TEST_CASE("changed plans keep what was used", "[ledger]") {
  world w({{"p", {hourly("h", 100)}}, {"q", {hourly("h", 100)}}});
  w.ask("p", 1, 70);
  w.ask("q", 2, 70);
  // p changes, and q is renamed.
  w.ledger.change_plans(
      shared_plans({{"p", {hourly("x", 5), hourly("h", 90)}}, {"r", {hourly("h", 80)}}}), w.now);
  CHECK(w.ask("p", 1, 0).limit == 0);
  CHECK(w.look("p", 1).limits[1].used == 70);
  CHECK(w.ask("r", 2, 50).granted == 10);
  CHECK(w.ask("q", 2).reason == static_cast<std::uint8_t>(refusal::unknown_plan));
  CHECK_FALSE(w.look("q", 2).plan_known);
  // It comes back, and goes on.
  w.ledger.change_plans(shared_plans({{"p", {}}, {"q", {hourly("h", 100)}}}), w.now);
  CHECK(w.ask("q", 2, 100).granted == 30);
  CHECK(w.ask("p", 1, 1000).granted == 1000);
  // What is idle goes, plans that are no more with it.
  w.now += 3601 * second_ns;
  while (w.ledger.sweep(w.now, 10) != 0) {
  }
  CHECK(w.ledger.size() == 0);
  w.ledger.change_plans(shared_plans({{"r", {hourly("h", 80)}}}), w.now);
  CHECK(w.ask("r", 2, 100).granted == 80);
}

TEST_CASE("no more entries than the bound, over all plans and scopes", "[ledger]") {
  world w({{"p", {hourly("a", 5), hourly("s", 5, limit_scope::stream)}}, {"q", {hourly("b", 5)}}},
          4);
  CHECK(w.ask("p", 1, 1, 0, "x").granted == 1);
  CHECK(w.ask("q", 1).granted == 1);
  CHECK(w.ask("p", 1, 1, 0, "y").granted == 1);
  CHECK(w.ledger.size() == 4);
  const verdict full = w.ask("p", 1, 1, 0, "z");
  CHECK(full.reason == static_cast<std::uint8_t>(refusal::table_full));
  CHECK(w.look("p", 1).limits[0].used == 2);
  CHECK(w.ask("q", 2).granted == 0);
  CHECK(w.ask("q", 1).granted == 1);
  CHECK(w.ask("p", 1, 1, 0, "x").granted == 1);
  w.now += 3601 * second_ns;
  CHECK(w.ledger.sweep(w.now, 100) == 4);
  CHECK(w.ask("q", 2).granted == 1);
}

TEST_CASE("looking at limits costs nothing of them", "[ledger]") {
  world w({{"p",
            {hourly("h", 100),
             {.name = "g",
              .kind = algorithm::gcra,
              .amount = 10,
              .window_ns = 10 * second_ns,
              .burst = 20}}}});
  CHECK(w.look("p", 1).limits == std::vector<limit_status>{{"h", 0, 100, ledger_start / 1'000'000},
                                                           {"g", 0, 20, ledger_start / 1'000'000}});
  CHECK(w.ledger.size() == 0);
  w.ask("p", 1, 5);
  for (int i = 0; i < 3; ++i)
    CHECK(w.look("p", 1).limits ==
          std::vector<limit_status>{{"h", 5, 95, (ledger_start + 3600 * second_ns) / 1'000'000},
                                    {"g", 5, 15, (ledger_start + 5 * second_ns) / 1'000'000}});
  CHECK(w.look("p", 1).token == 1);
}

TEST_CASE("what survives is handed over once, a part at a time, and restored", "[ledger]") {
  const std::vector<plan> plans{
      {"p",
       {hourly("account", 100),
        {.name = "brief", .kind = algorithm::gcra, .amount = 9, .window_ns = second_ns},
        hourly("stream", 20, limit_scope::stream),
        {.name = "rate", .kind = algorithm::gcra, .amount = 7, .window_ns = 60 * second_ns}}},
      {"brief", {{.name = "b", .kind = algorithm::gcra, .amount = 9, .window_ns = second_ns}}}};
  world w(plans);
  for (std::uint64_t client = 1; client <= 50; ++client) {
    CHECK(w.ask("p", client, 3).granted == 3);
    w.ask("brief", client, 3);
  }
  CHECK(w.ledger.has_changed());
  std::vector<counter_row> saved;
  int calls = 0;
  for (; w.ledger.has_changed() && calls < 100; ++calls) {
    const auto rows = w.ledger.take_changed(10, w.now);
    CHECK(rows.size() <= 12); // a client's rows go together
    saved.insert(saved.end(), rows.begin(), rows.end());
  }
  CHECK(calls > 10);
  CHECK(saved.size() == 50 * 3);
  CHECK(w.ledger.take_changed(10, w.now).empty());
  for (const auto& row : saved) {
    CHECK(row.plan == plan_id("p"));
    CHECK(row.idle_at > w.now + 20 * second_ns);
    CHECK(row.idle_at <= w.now + 3600 * second_ns);
  }
  // Only who is charged counts as changed.
  w.ask("p", 3, 0);
  CHECK_FALSE(w.ledger.has_changed());
  w.ask("p", 3, 1);
  CHECK(w.ledger.take_changed(100, w.now).size() == 3);

  // The limits have other numbers by now, and one is gone.
  auto changed = plans;
  changed[0].limits[0].amount = 90;
  changed[0].limits.erase(changed[0].limits.begin() + 1, changed[0].limits.begin() + 3);
  world later(changed);
  later.now += 10 * second_ns;
  for (const auto& row : saved)
    later.ledger.restore(row, later.now);
  CHECK(later.ledger.size() == 50);
  CHECK(later.look("p", 9).limits[0].used == 3);
  CHECK(later.look("p", 9).limits[1].used == 2); // one has come back in ten seconds
  CHECK_FALSE(later.ledger.has_changed());
  // What says nothing any more, or is of no plan or scope, is passed over.
  world idle(plans);
  idle.now += 3600 * second_ns;
  auto strange = saved.front();
  strange.scope = 200;
  saved.push_back(strange);
  strange = saved.front();
  strange.plan = 1;
  saved.push_back(strange);
  for (const auto& row : saved)
    idle.ledger.restore(row, idle.now);
  CHECK(idle.ledger.size() == 0);
}

TEST_CASE("metrics tell plans and limits apart, up to a bound", "[ledger]") {
  limit_labels labels;
  CHECK(labels.slot_of("p", "a") == 0);
  CHECK(labels.slot_of("q", "a") == 1);
  CHECK(labels.slot_of("p", "a") == 0);
  for (std::size_t i = 0; i < 2 * max_counted_limits; ++i)
    CHECK(labels.slot_of("many", std::to_string(i)) == std::min(i + 2, max_counted_limits - 1));
  CHECK(labels.all().size() == max_counted_limits);
  CHECK(labels.all().back() == limit_labels::label{"other", "other"});
}

TEST_CASE("of two rows that may be the later one that with less left stays", "[ledger]") {
  const plan rules{"p", {hourly("account", 100)}};
  const auto row = [&](std::uint32_t used, std::int64_t at_ns) {
    return counter_row{
        1, plan_id("p"), limit_id(rules.limits[0]), 0, at_ns, used, 0, at_ns + 3600 * second_ns};
  };
  world w({rules});
  w.ledger.restore(row(30, w.now - second_ns), w.now);
  w.ledger.take_in(row(20, w.now), w.now, true);
  CHECK(w.look("p", 1).limits[0].used == 30);
  CHECK(w.ledger.has_changed()); // it is to be saved, whichever it is
  w.ledger.restore(row(40, w.now), w.now, true);
  CHECK(w.look("p", 1).limits[0].used == 40);
  w.ledger.take_in(row(10, w.now), w.now);
  CHECK(w.look("p", 1).limits[0].used == 10);
}

TEST_CASE("rows with times of no clock are passed over", "[ledger]") {
  const limit rule{.name = "s",
                   .kind = algorithm::sliding_window,
                   .amount = 5,
                   .window_ns = 60 * std::int64_t{1'000'000'000}};
  limit_ledger ledger{std::make_shared<const std::vector<plan>>(1, plan{"p", {rule}}), 10,
                      std::make_shared<limit_labels>()};
  for (const std::int64_t at : {INT64_MIN, std::int64_t{-1}, max_now_ns + 1, INT64_MAX})
    ledger.restore({1, plan_id("p"), limit_id(rule), 0, at, 5, 5, at}, 1000);
  CHECK(ledger.size() == 0);
}

TEST_CASE("a row from the future keeps nobody out for longer than a window", "[ledger]") {
  const auto kind = GENERATE(algorithm::gcra, algorithm::fixed_window, algorithm::sliding_window,
                             algorithm::interval, algorithm::calendar);
  const limit rule{.name = "l",
                   .kind = kind,
                   .amount = kind == algorithm::interval ? 1u : 5u,
                   .window_ns = 3600 * second_ns,
                   .unit = calendar_unit::hour};
  for (const std::int64_t ahead_ns :
       {second_ns, 2 * second_ns, 7200 * second_ns, max_now_ns - ledger_start}) {
    INFO("algorithm " << static_cast<int>(kind) << ", ahead by " << ahead_ns);
    world w({{"p", {rule}}});
    w.ledger.restore({1, plan_id("p"), limit_id(rule), 0, w.now + ahead_ns, 5, 5, 0}, w.now);
    CHECK(w.ask("p", 1).granted == 0);
    // Of a sliding window the present one weighs in until the next is over.
    w.now += (kind == algorithm::sliding_window ? 2 : 1) * rule.window_ns + max_ahead_ns;
    CHECK(w.ask("p", 1).granted == 1);
  }
}

TEST_CASE("a row of a node whose time is a little ahead stays what it is", "[ledger]") {
  const limit rule = hourly("h", 10);
  world w({{"p", {rule}}});
  const std::int64_t at = w.now + max_ahead_ns;
  w.ledger.restore({1, plan_id("p"), limit_id(rule), 0, at, 5, 0, 0}, w.now);
  w.now = at + rule.window_ns - 1;
  CHECK(w.ask("p", 1, 10).granted == 5);
}
