// Usage over a cluster: the sums are exact whoever leaves, dies, comes back or begins anew, and
// whichever node is asked.
#include "tests/unit/actors/accounts/accounts_fixture.hpp"
#include "tests/unit/actors/usage/usage_cluster.hpp"

#include <random>

using namespace penstock;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const usage_origin* found(const usage_answer& answer, const std::string& node) {
  for (const auto& one : answer.coverage->nodes)
    if (one.node == node) return &one;
  return nullptr;
}

// The copies that a node has, by the name of whose they are.
std::map<std::string, std::int64_t> copies_at(usage_cluster& world, std::uint16_t number) {
  usage_sources got;
  auto pending =
      world.self->request(world.nodes[number].writer, caf::infinite, usage_sources_question{});
  world.run();
  pending.receive([&](usage_sources& all) { got = std::move(all); },
                  [](const caf::error&) { FAIL("no answer"); });
  std::map<std::string, std::int64_t> out;
  for (const auto& one : got.all)
    if (one.is_copy) out[one.about.node] = one.about.known_ms;
  return out;
}

} // namespace

TEST_CASE_METHOD(usage_cluster, "a report has what all nodes counted, whichever is asked",
                 "[usage]") {
  members = {address_of(1), address_of(2), address_of(3)};
  for (const std::uint16_t number : {1, 2, 3})
    start(number);
  link_all();
  count(1, "x", 5);
  count(2, "x", 7);
  count(3, "y", 4);
  count(3, "x", 1); // not written yet: it is before anybody is asked
  for (const std::uint16_t number : {1, 2, 3}) {
    const auto answer = ask(number);
    REQUIRE(answer.ok);
    CHECK(answer.report.total.requests == 17);
    CHECK(answer.report.total.bytes == 170);
    CHECK(answer.report.ids == 2);
    REQUIRE(answer.report.rows.size() == 2);
    CHECK(answer.report.rows[0].id == "x");
    CHECK(answer.report.rows[0].counts.requests == 13);
    CHECK(of_stream(number, "x") == 13);
    REQUIRE(answer.coverage->nodes.size() == 3);
    for (const auto& one : answer.coverage->nodes) {
      CHECK_FALSE(one.is_copy);
      CHECK(one.known_ms == *now_ms);
    }
    CHECK(answer.coverage->missing.empty());
  }
}

TEST_CASE_METHOD(usage_cluster, "of a node that left as planned nothing is gone", "[usage]") {
  for (const std::uint16_t number : {1, 2, 3})
    start(number);
  link_all();
  count(1, "x", 5);
  pass_s(1);
  count(1, "x", 2); // neither written nor copied
  count(2, "y", 1);
  CHECK(leave(1)); // and its disk is gone, too
  for (const std::uint16_t number : {2, 3})
    CHECK(total(number) == counted);
  const auto answer = ask(3);
  REQUIRE(found(answer, "node-1") != nullptr);
  CHECK(found(answer, "node-1")->is_copy);
  CHECK(found(answer, "node-1")->known_ms == *now_ms);
  // One after the other, until one is left.
  count(2, "z", 3);
  CHECK(leave(2));
  CHECK(total(3) == counted);
  CHECK(ask(3).coverage->nodes.size() == 3);
}

TEST_CASE_METHOD(usage_cluster, "of a node that was killed another one knows", "[usage]") {
  members = {address_of(1), address_of(2), address_of(3), address_of(4)};
  for (const std::uint16_t number : {1, 2, 3})
    start(number);
  link_all();
  count(1, "x", 5);
  pass_s(2);
  const auto known_ms = *now_ms;
  auto disk = kill(1);
  pass_s(10);
  for (const std::uint16_t number : {2, 3}) {
    const auto answer = ask(number);
    CHECK(answer.report.total.requests == 5);
    REQUIRE(found(answer, "node-1") != nullptr);
    CHECK(found(answer, "node-1")->is_copy);
    CHECK(found(answer, "node-1")->known_ms <= known_ms);
    CHECK(found(answer, "node-1")->known_ms >= known_ms - 2000);
    CHECK(answer.coverage->missing == std::vector<std::string>{address_of(4)});
  }
  SECTION("and when it is back nothing is counted twice") {
    start(1, disk);
    CHECK(total(2) == 5); // not linked yet
    CHECK(total(1) == 5);
    link_all();
    count(1, "x", 3);
    for (const std::uint16_t number : {1, 2, 3})
      CHECK(total(number) == counted);
    CHECK_FALSE(found(ask(2), "node-1")->is_copy);
    pass_s(3);
    kill(1);
    CHECK(total(3) == counted);
  }
  SECTION("also when a new one takes its name and address") {
    start(1);
    link_all();
    count(1, "x", 4);
    for (const std::uint16_t number : {1, 2, 3})
      CHECK(total(number) == counted);
    pass_s(3);
    kill(1);
    CHECK(total(2) == counted);
    CHECK(ask(2).coverage->nodes.size() == 4);
  }
  SECTION("and for good, and then who knew, too: there is a third") {
    const std::uint16_t holder = copies_at(*this, 2).contains("node-1") ? 2 : 3;
    const std::uint16_t other = holder == 2 ? 3 : 2;
    CHECK_FALSE(copies_at(*this, other).contains("node-1"));
    pass_until_gone();
    CHECK(copies_at(*this, other).contains("node-1"));
    kill(holder);
    CHECK(total(other) == counted);
  }
}

TEST_CASE_METHOD(usage_cluster, "a node that leaves hands on what it keeps of those that are gone",
                 "[usage]") {
  for (const std::uint16_t number : {1, 2, 3, 4})
    start(number);
  link_all();
  for (const std::uint16_t number : {1, 2, 3, 4})
    count(number, "x", number);
  for (const std::uint16_t number : {1, 2, 3}) {
    CHECK(leave(number)); // with no time in between
    for (const auto& [other, node] : nodes)
      CHECK(total(other) == counted);
  }
}

TEST_CASE_METHOD(usage_cluster, "who leaves at the same time is nobody's holder", "[usage]") {
  for (const std::uint16_t number : {1, 2, 3})
    start(number);
  link_all();
  for (const std::uint16_t number : {1, 2, 3})
    count(number, "x", number);
  pass_s(2);
  for (const std::uint16_t number : {1, 2})
    count(number, "y", number);
  int handed_over = 0;
  const auto leave_at_once = [&](std::uint16_t number) {
    return self->request(nodes[number].writer, caf::infinite, usage_hand_over{});
  };
  auto first = leave_at_once(1);
  auto second = leave_at_once(2);
  run();
  for (auto* pending : {&first, &second})
    pending->receive([&](usage_handed_over) { ++handed_over; },
                     [](const caf::error&) { FAIL("no answer"); });
  CHECK(handed_over == 2);
  kill(1);
  kill(2);
  CHECK(total(3) == counted);
  // The whole cluster at once: there is nobody to take it, and nobody waits.
  count(3, "z", 1);
  const auto disk = nodes[3].disk;
  CHECK(leave(3));
  start(3, disk);
  CHECK(total(3) == counted);
}

TEST_CASE_METHOD(usage_cluster, "what is left alone is kept on its disk", "[usage]") {
  start(1);
  count(1, "x", 5);
  CHECK(leave(1)); // nobody is there: it does not wait
  start(1);
  CHECK(total(1) == 0);
}

TEST_CASE_METHOD(usage_cluster, "while a node restarts its copy stands for it", "[usage]") {
  for (const std::uint16_t number : {1, 2})
    start(number);
  link_all();
  for (int round = 0; round < 5; ++round) {
    count(1, "x", 3);
    count(2, "y", 1);
    pass_s(2);
    const auto disk = kill(1);
    CHECK(total(2) == counted);
    start(1, disk);
    CHECK(total(2) == counted);
    CHECK(total(1) == counted); // by its own, and what it keeps of the other
    link_all();
    CHECK(total(2) == counted);
  }
}

TEST_CASE_METHOD(usage_cluster, "a node that goes while it is asked: its copy, or it, not both",
                 "[usage]") {
  for (const std::uint16_t number : {1, 2, 3})
    start(number);
  link_all();
  count(1, "x", 3);
  count(2, "x", 1);
  pass_s(2);
  usage_query query{.by = usage_dimension::stream, .per = usage_period::month};
  query.from_s = usage_start_ms / 1000;
  query.to_s = *now_ms / 1000 + 1;
  auto pending = self->request(nodes[3].gatherer, caf::infinite,
                               usage_query_ptr{std::make_shared<const usage_query>(query)});
  for (int step = 0; step < 4; ++step)
    scheduler.run_once();
  kill(1);
  pending.receive([&](usage_answer_ptr& got) { CHECK(got->report.total.requests == 4); },
                  [](const caf::error&) { FAIL("no answer"); });
}

TEST_CASE_METHOD(usage_cluster, "more rows than a message takes, changing while they go",
                 "[usage]") {
  start(1);
  for (int i = 0; i < 3000; ++i) // four rows each
    count(1, "s" + std::to_string(i), 1);
  pass_s(1);
  start(2);
  link(1, 2);
  CHECK(leave(1));
  CHECK(total(2) == counted);
  CHECK(ask(2).report.ids == 3000);
}

TEST_CASE_METHOD(usage_cluster, "rows that changed and wait are so many; then all are sent again",
                 "[usage]") {
  const test::temporary_dir dir;
  const auto store = open(usage_store::open(dir.path()));
  const auto copies = open(usage_copies::open(dir.path()));
  usage_copying copying{*store, *copies};
  copying.peer_came(2, address_of(2));
  auto first = copying.next(usage_start_ms);
  REQUIRE(first.has_value());
  REQUIRE(first->has_value());
  CHECK(copying.copied({(*first)->number, true}));
  std::vector<usage_key> rows(1);
  for (std::size_t i = 0; i < max_changed_usage_rows; ++i) {
    rows[0].name = static_cast<std::int64_t>(i + 1);
    copying.changed(rows);
  }
  CHECK(copying.waiting() == max_changed_usage_rows);
  rows[0].name = 0;
  copying.changed(rows);
  CHECK(copying.waiting() == 0);
  CHECK_FALSE(copying.is_settled(usage_start_ms));
  auto again = copying.next(usage_start_ms);
  REQUIRE((again.has_value() && again->has_value()));
  CHECK((*again)->about.known_ms == usage_start_ms); // it is empty: one message is all of it
}

TEST_CASE_METHOD(usage_cluster, "a copy whose last row goes while it is sent holds up no other",
                 "[usage]") {
  const test::temporary_dir dir;
  const auto store = open(usage_store::open(dir.path()));
  const auto copies = open(usage_copies::open(dir.path()));
  const auto keep = [&](char digit, usage_period period) {
    const std::string origin(usage_origin_size, digit);
    std::vector<usage_state> rows(usage_copy_rows + 1); // more than a message takes
    for (std::size_t i = 0; i < rows.size(); ++i)
      rows[i] = {period, usage_dimension::stream, 0, "s" + std::to_string(i), {1}};
    REQUIRE(copies->raise(rows, {origin, "n", "h:1", 1, origin}).has_value());
  };
  keep('a', usage_period::minute);
  keep('b', usage_period::month);
  usage_copying copying{*store, *copies};
  copying.peer_came(2, address_of(2));
  auto now = usage_start_ms;
  std::set<std::string> sent;
  const auto send_next = [&] {
    const auto message = copying.next(now);
    REQUIRE(message.has_value());
    if (!*message) return false;
    sent.insert((*message)->about.origin);
    CHECK(copying.copied({(*message)->number, true}));
    return true;
  };
  send_next(); // of its own: it has none
  now += usage_gone_after_ms;
  while (!sent.contains(std::string(usage_origin_size, 'a')))
    REQUIRE(send_next());
  for (int i = 0; i < 4; ++i)
    REQUIRE(copies->trim({}, now, 1'000'000).has_value());
  REQUIRE(copies->all().size() == 1);
  while (send_next())
    ;
  CHECK(sent.contains(std::string(usage_origin_size, 'b')));
  CHECK(copying.is_settled(now));
  CHECK(copying.waiting_copies(now) == 0);
}

TEST_CASE_METHOD(usage_cluster, "when links were lost is remembered for as long as it matters",
                 "[usage][bounds]") {
  const test::temporary_dir dir;
  const auto store = open(usage_store::open(dir.path()));
  const auto copies = open(usage_copies::open(dir.path()));
  usage_copying copying{*store, *copies};
  auto now = usage_start_ms;
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i, now += 1000) { // another node each second
    auto origin = std::to_string(i);
    origin.insert(0, usage_origin_size - origin.size(), '0');
    copying.peer_came(2, address_of(2));
    copying.greeted(2, {origin, false});
    copying.peer_went(2, now);
    most = std::max(most, copying.remembered_losses());
  }
  CHECK(most == usage_gone_after_ms / 1000);
}

TEST_CASE_METHOD(usage_cluster, "a peer of an earlier wire version is missing", "[usage]") {
  members = {address_of(1), address_of(2)};
  start(1);
  start(2);
  link(1, 2, usage_wire_version - 1);
  count(1, "x", 5);
  count(2, "x", 1);
  pass_s(2);
  const auto answer = ask(1);
  CHECK(answer.report.total.requests == 5);
  CHECK(answer.coverage->missing == std::vector<std::string>{address_of(2)});
}

struct early_greeting : usage_cluster {
  /// Node 2 hears of node 1, and has something to be copied.
  void link_one_to_two_and_count() {
    peer_up up{.member = 1};
    up.address = address_of(1);
    up.version = wire_version;
    up.usage = nodes[1].writer;
    tell(2, up);
    run();
    count(2, "x", 5);
    pass_s(3);
  }
};

TEST_CASE_METHOD(early_greeting, "who is linked first greets before the other knows", "[usage]") {
  start(1);
  start(2);
  caf::send_as(plain_actor(nodes[1].writer), plain_actor(nodes[2].writer),
               usage_greeting{std::string(usage_origin_size, 'a'), true}); // it leaves
  run();
  link_one_to_two_and_count();
  CHECK(copies_at(*this, 1).empty()); // who leaves is nobody's holder
}

TEST_CASE_METHOD(early_greeting, "so many greetings of nodes that are not linked are kept",
                 "[usage][bounds]") {
  start(1);
  start(2);
  std::vector<caf::actor> strangers;
  for (std::size_t i = 0; i < max_early_greetings; ++i) {
    strangers.push_back(
        system.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](int) {}}; }));
    caf::send_as(strangers.back(), plain_actor(nodes[2].writer),
                 usage_greeting{std::string(usage_origin_size, 'b'), false});
  }
  run();
  caf::send_as(plain_actor(nodes[1].writer), plain_actor(nodes[2].writer),
               usage_greeting{std::string(usage_origin_size, 'a'), true}); // one too many
  run();
  link_one_to_two_and_count();
  CHECK_FALSE(copies_at(*this, 1).empty()); // that it leaves was not kept
  for (const auto& each : strangers)
    caf::anon_send_exit(each, caf::exit_reason::kill);
  run();
}

TEST_CASE_METHOD(usage_cluster, "what is no copy is refused, and told so", "[usage]") {
  start(1);
  const auto outcomes = std::make_shared<std::vector<bool>>();
  const auto giver = system.spawn([outcomes](caf::event_based_actor*) -> caf::behavior {
    return {[outcomes](const usage_copied& one) { outcomes->push_back(one.ok); }};
  });
  const std::string origin(usage_origin_size, 'a');
  usage_copy good{{origin, "n", "h:1", 5, origin}, 1, {{}}};
  good.rows[0].id = "x";
  auto bad = std::vector<usage_copy>(7, good);
  bad[0].about.origin = "../../" + origin;
  bad[1].about.origin = std::string(usage_origin_size, '/');
  bad[2].about.given_by.clear();
  bad[3].rows[0].id.assign(max_copied_usage_id_bytes + 1, 'x');
  bad[4].rows[0].period = static_cast<usage_period>(usage_periods);
  bad[5].rows[0].counts.bytes = UINT64_MAX;
  bad[6].rows.resize(usage_copy_rows + 1, good.rows[0]);
  for (const auto& one : bad)
    caf::send_as(giver, plain_actor(nodes[1].writer), one);
  caf::send_as(giver, plain_actor(nodes[1].writer), good);
  run();
  CHECK(*outcomes == std::vector<bool>{false, false, false, false, false, false, false, true});
  caf::anon_send_exit(giver, caf::exit_reason::kill);
}

TEST_CASE_METHOD(usage_cluster, "what no other node has whole is told", "[usage]") {
  const auto waiting = [&](std::uint16_t number) {
    return nodes[number].metrics->copies_waiting.value();
  };
  start(1);
  count(1, "x", 5);
  pass_s(2);
  CHECK(waiting(1) == 1); // nobody is there
  start(2);
  link(1, 2);
  count(2, "x", 3);
  pass_s(3);
  for (const std::uint16_t number : {1, 2}) {
    CHECK(waiting(number) == 0);
    CHECK(nodes[number].metrics->copies.value() == 1);
  }
  kill(2);
  pass_s(1);
  CHECK(waiting(1) == 1);
  pass_until_gone();
  CHECK(waiting(1) == 2); // the other's, too: it does not come back
  start(3);
  link(1, 3);
  pass_s(3);
  CHECK(waiting(1) == 0);
  CHECK(nodes[3].metrics->copies.value() == 2);
}

TEST_CASE_METHOD(usage_cluster, "that there is no room for a copy is told once", "[usage]") {
  max_copies = 1;
  start(1);
  std::vector<bool> taken;
  const auto giver = system.spawn([&taken](caf::event_based_actor*) -> caf::behavior {
    return {[&taken](const usage_copied& one) { taken.push_back(one.ok); }};
  });
  const auto give = [&](char digit) {
    const std::string origin(usage_origin_size, digit);
    usage_copy copy{{origin, "n", "h:1", *now_ms, origin}, 1, {{}}};
    copy.rows[0].id = "x";
    caf::send_as(giver, plain_actor(nodes[1].writer), copy);
    run();
  };
  log_catcher log;
  give('a');
  for (int i = 0; i < 3; ++i) {
    give('b');
    count(1, "x", 1); // what is written all the same takes nothing of it back
    pass_s(1);
  }
  CHECK(taken == std::vector<bool>{true, false, false, false});
  CHECK(nodes[1].metrics->copies_refused.value() == 3);
  CHECK(nodes[1].metrics->failures.value() == 0); // the disk is well
  const auto text = log.text();
  const auto first = text.find("is kept here, and of no more");
  REQUIRE(first != std::string::npos);
  CHECK(text.find("is kept here, and of no more", first + 1) == std::string::npos);
  caf::anon_send_exit(giver, caf::exit_reason::kill);
  run();
}

TEST_CASE_METHOD(usage_cluster, "copies tell how many ids they share", "[usage]") {
  auto disk = std::make_shared<usage_disk>();
  {
    const auto copies = open(usage_copies::open(disk->dir.path()));
    for (const char digit : {'a', 'b', 'c'}) {
      const std::string origin(usage_origin_size, digit);
      const std::vector<usage_state> rows{
          {usage_period::month, usage_dimension::stream, 0, "x", {1}},
          {usage_period::month, usage_dimension::stream, 0, "y", {1}}};
      REQUIRE(copies->raise(rows, {origin, "n", "h:1", 1, origin}).has_value());
    }
  }
  start(1, disk);
  usage_sources got;
  auto pending = self->request(nodes[1].writer, caf::infinite, usage_sources_question{});
  run();
  pending.receive([&](usage_sources& all) { got = std::move(all); },
                  [](const caf::error&) { FAIL("no answer"); });
  CHECK(got.all.size() == 4);
  CHECK(got.copy_names == 2);
}

TEST_CASE_METHOD(usage_cluster, "rows of copies go each second, in so many transactions",
                 "[usage][bounds]") {
  constexpr std::int64_t a_second = max_usage_trims * static_cast<std::int64_t>(usage_trim_rows);
  auto disk = std::make_shared<usage_disk>();
  {
    const auto copies = open(usage_copies::open(disk->dir.path()));
    for (const char digit : {'a', 'b', 'c'}) {
      const std::string origin(usage_origin_size, digit);
      const std::vector<usage_state> old{
          {usage_period::minute, usage_dimension::stream, 0, "x", {1}}};
      REQUIRE(copies->raise(old, {origin, "n", "h:1", 1, origin}).has_value());
    }
  }
  const auto file = disk->dir.path() / usage_copies_file_name;
  auto db = *sqlite_database::open(file, sqlite_mode::create);
  const auto more = std::to_string(a_second + 2 * static_cast<std::int64_t>(usage_trim_rows));
  REQUIRE(
      db.exec(("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + more +
               ") INSERT INTO minute SELECT (SELECT max(dimension) FROM minute), 60 * i, 1, 1,"
               " 0, 0, 0 FROM n;"
               "UPDATE size SET rows = 1 + " +
               more + " WHERE period = (SELECT max(period) FROM size WHERE rows > 0)")
                  .c_str())
          .has_value());
  const auto rows = [&] {
    auto count = *db.prepare("SELECT count(*) FROM minute");
    REQUIRE(*count.step());
    return count.integer(0);
  };
  start(1, disk);
  auto left = rows();
  REQUIRE(left > a_second);
  pass_s(1);
  CHECK(left - rows() <= a_second);
  CHECK(left - rows() > a_second - 3 * static_cast<std::int64_t>(usage_trim_rows));
  pass_s(1);
  CHECK(rows() == 0);
}

TEST_CASE_METHOD(usage_cluster, "whatever happens, in the end the sums are exact", "[usage]") {
  const auto seed = GENERATE(range(1u, 5u));
  std::mt19937 random{seed};
  INFO("seed " << seed);
  const auto pick = [&](unsigned n) {
    return std::uniform_int_distribution<unsigned>{0, n - 1}(random);
  };
  std::map<std::uint16_t, std::shared_ptr<usage_disk>> down;
  for (const std::uint16_t number : {1, 2, 3, 4})
    start(number);
  link_all();
  pass_s(1);
  std::uint16_t next_number = 5;
  for (int step = 0; step < 40; ++step) {
    auto at = nodes.begin();
    std::advance(at, pick(static_cast<unsigned>(nodes.size())));
    const auto number = at->first;
    switch (pick(8)) {
    case 0: // back, or a new one in its place
      if (!down.empty()) {
        start(down.begin()->first, down.begin()->second);
        down.erase(down.begin());
      } else {
        start(next_number++);
      }
      link_all();
      break;
    case 1: // killed, with what it wrote; it comes back
      if (nodes.size() < 3) break;
      pass_s(1);
      down[number] = kill(number);
      break;
    case 2: // leaves for good, with its disk
      if (nodes.size() < 3) break;
      CHECK(leave(number));
      break;
    case 3: // killed for good: all was copied
      if (nodes.size() < 3) break;
      pass_until_gone();
      kill(number);
      pass_until_gone();
      break;
    default:
      count(number, "s" + std::to_string(pick(5)), 1 + pick(9));
      if (pick(2) == 0) pass_s(1);
    }
  }
  for (const auto& [number, disk] : down)
    start(number, disk);
  link_all();
  for (const auto& [number, node] : nodes)
    CHECK(total(number) == counted);
}
