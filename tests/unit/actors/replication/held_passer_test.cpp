// What is held of a node that is away, or by a node that ends, is passed on: it is held twice.
#include "actors/cluster/link_messages.hpp"
#include "actors/replication/held_passer.hpp"
#include "tests/unit/actors/replication/replica_world.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <utility>

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

namespace {

using held_seqs = std::vector<std::uint64_t>;

/// Nodes that hold events and have links to each other; `self` is the adopter of each.
class passing_fixture : public actor_fixture {
 public:
  static constexpr auto adopt_after = 20s;

  passing_fixture() {
    for (std::size_t i = 0; i < nodes.size(); ++i)
      nodes[i] = std::make_unique<holder>(system, adopt_after, self, 64u << 20, tags[i]);
    origin = system.spawn(an_origin);
    run();
  }
  ~passing_fixture() {
    caf::anon_send_exit(origin, caf::exit_reason::user_shutdown);
    for (auto& one : nodes)
      one.reset();
    run();
  }

  static caf::behavior an_origin(caf::event_based_actor* me) {
    return {[](const replica_held&) {},
            [me](caf::actor to, const replica_batch& batch) { me->send(to, batch); },
            [me](caf::actor to, const replica_news& news) { me->send(to, news); }};
  }

  void link(std::size_t a, std::size_t b) {
    up(a, b, nodes[b]->actor);
    up(b, a, nodes[a]->actor);
  }
  void up(std::size_t at, std::size_t member, const caf::actor& replicas,
          std::uint32_t version = wire_version) {
    peer_up news;
    news.member = static_cast<std::uint16_t>(member);
    news.address = "10.0.0." + std::to_string(member) + ":1";
    news.replicas = stand_in(replicas);
    news.version = version;
    self->send(nodes[at]->actor, news);
    run();
  }
  void down(std::size_t at, std::size_t member) {
    self->send(nodes[at]->actor, peer_down{static_cast<std::uint16_t>(member)});
    run();
  }

  /// All is published there, and nobody holds or publishes anything any more.
  void end_last_adoption(const holder& at) {
    self->send(at.actor,
               replica_adopted{.tag = origin_tag, .node = "a", .is_done = true, .is_empty = true});
    run();
    pass(2 * adopt_after, 1s);
    CHECK(adopted().empty());
    for (const auto& one : nodes)
      CHECK(one->store->list().empty());
  }

  /// The origin has its holder keep events.
  void hold(std::size_t at, std::uint64_t after, const held_seqs& rows, std::size_t body_bytes = 0,
            const std::string& tag = origin_tag) {
    replica_batch batch;
    batch.session = 3;
    batch.tag = tag;
    batch.node = "a";
    batch.after_seq = after;
    for (const auto seq : rows)
      batch.rows.push_back(
          {std::make_shared<const event_block>(numbered_block(seq, 1, "default", body_bytes))});
    self->send(origin, nodes[at]->actor, batch);
    run();
  }
  /// It lives.
  void tell(std::uint64_t confirmed = 0) {
    for (auto& one : nodes)
      self->send(origin, one->actor, replica_news{.tag = origin_tag, .confirmed_seq = confirmed});
    run();
  }
  void lose_origin() {
    caf::anon_send_exit(origin, caf::exit_reason::kill);
    run();
  }
  void lose(std::size_t node) {
    caf::anon_send_exit(nodes[node]->actor, caf::exit_reason::kill);
    run();
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (i != node) down(i, node);
  }
  /// Who was asked to publish, and is not answered yet.
  std::vector<std::string> adopted() {
    std::vector<std::string> found;
    adopt_replica wish;
    while (take(self, wish))
      found.push_back(wish.tag);
    return found;
  }
  /// What the node that ends says when it has done what it could.
  std::optional<held_passed_on> passed_on() {
    held_passed_on said;
    return take(self, said) ? std::optional{said} : std::nullopt;
  }
  std::int64_t single(std::size_t node) const {
    return nodes[node]->metrics->single_events.value();
  }

  std::array<std::string, 3> tags{"hhhhhhhh", "iiiiiiii", "jjjjjjjj"};
  std::array<std::unique_ptr<holder>, 3> nodes;
  caf::actor origin;
};

} // namespace

TEST_CASE_METHOD(passing_fixture, "what is held of a node that is gone is held by another, too",
                 "[replica][passing]") {
  link(0, 1);
  hold(0, 0, {5, 6});
  tell();
  pass(1s, 1s);
  tell();
  CHECK(nodes[1]->held().empty()); // the origin has it
  SECTION("its connection broke: at once") {
    lose_origin();
  }
  SECTION("it says nothing: soon") {
    pass(2s, 1s);
    CHECK(nodes[1]->held().empty());
    pass(2s, 1s);
  }
  CHECK(nodes[1]->held() == held_seqs{5, 6});
  CHECK(single(0) == 0);
  CHECK(single(1) == 0);
  CHECK(nodes[0]->metrics->passed_events.value() == 2);
  // Then the holder goes, too, and the other publishes it.
  lose(0);
  CHECK(single(1) == 2);
  pass(adopt_after + 2s, 1s);
  CHECK(adopted() == std::vector{origin_tag});
}

TEST_CASE_METHOD(passing_fixture, "nobody in reach is told as events on one node only",
                 "[replica][passing]") {
  hold(0, 0, {5, 6});
  CHECK(single(0) == 0); // the origin has them
  lose_origin();
  CHECK(single(0) == 2);
  link(0, 1);
  CHECK(single(0) == 0);
  down(0, 1);
  CHECK(single(0) == 2);
  link(0, 2);
  CHECK(single(0) == 0);
  CHECK(nodes[2]->held() == held_seqs{5, 6});
}

TEST_CASE_METHOD(passing_fixture, "of those that hold it one publishes it, and the others let go",
                 "[replica][passing]") {
  link(0, 1);
  link(0, 2);
  link(1, 2);
  SECTION("all have the same") {
    hold(0, 0, {5, 6});
  }
  SECTION("some had been holders before") {
    hold(2, 0, {5});
    hold(1, 0, {5, 6});
    hold(0, 0, {5, 6, 7});
  }
  lose_origin();
  pass(2s, 1s);
  held_seqs most;
  std::size_t holding = 0;
  for (const auto& one : nodes)
    most = std::max(most, one->held());
  for (const auto& one : nodes)
    holding += one->held() == most ? 1 : 0;
  CHECK(holding >= 2);
  pass(adopt_after + 3s, 1s);
  CHECK(adopted().size() == 1);
  pass(10 * adopt_after, 1s);
  CHECK(adopted().empty()); // it is busy, and says so
  const auto busy =
      std::ranges::find_if(nodes, [](const auto& one) { return one->store->list().empty(); });
  REQUIRE(busy != nodes.end());
  end_last_adoption(**busy);
}

TEST_CASE_METHOD(passing_fixture, "a node that comes back is not passed on any more",
                 "[replica][passing]") {
  hold(0, 0, {5, 6});
  lose_origin();
  origin = system.spawn(an_origin);
  tell();
  link(0, 1);
  CHECK(nodes[1]->held().empty());
  CHECK(single(0) == 0);
  tell(6);
  pass(1s, 1s);
  lose_origin();
  pass(5s, 1s);
  CHECK(nodes[1]->held().empty()); // nobody needs it
}

TEST_CASE_METHOD(passing_fixture, "a node that ends has others hold what it held",
                 "[replica][passing][drain]") {
  hold(0, 0, {5, 6});
  SECTION("there is one") {
    link(0, 1);
    self->send(nodes[0]->actor, pass_on_held{});
    run();
    const auto said = passed_on();
    REQUIRE(said);
    CHECK(said->left_events == 0);
    CHECK(nodes[1]->held() == held_seqs{5, 6});
    // It does not speak for them any more.
    lose_origin();
    pass(adopt_after + 3s, 1s);
    CHECK(adopted() == std::vector{origin_tag});
    CHECK(nodes[1]->store->list().empty());
  }
  SECTION("there is none") {
    self->send(nodes[0]->actor, pass_on_held{});
    run();
    const auto said = passed_on();
    REQUIRE(said);
    CHECK(said->left_events == 2);
    CHECK_FALSE(said->why.empty());
  }
  SECTION("the only one ends as well") {
    link(0, 1);
    self->send(nodes[1]->actor, pass_on_held{});
    run();
    CHECK(passed_on()->left_events == 0); // it holds nothing
    self->send(nodes[0]->actor, pass_on_held{});
    pass(2 * holder_patience - 1s, 1s);
    CHECK_FALSE(passed_on());
    pass(2s, 1s);
    const auto said = passed_on();
    REQUIRE(said);
    CHECK(said->left_events == 2);
  }
  SECTION("it holds nothing new") {
    link(0, 1);
    self->send(nodes[0]->actor, pass_on_held{});
    hold(0, 6, {7});
    CHECK(nodes[0]->held() == held_seqs{5, 6});
    CHECK(nodes[0]->metrics->refusals.value() == 1);
  }
}

TEST_CASE_METHOD(passing_fixture, "an origin hears that its holder ends", "[replica][drain]") {
  replica_batch question;
  question.session = 8;
  question.tag = origin_tag;
  question.node = "a";
  self->send(nodes[0]->actor, question);
  run();
  replica_held said;
  REQUIRE(take(self, said));
  CHECK(said.ok);
  self->send(nodes[0]->actor, pass_on_held{});
  run();
  REQUIRE(take(self, said));
  CHECK_FALSE(said.ok);
  CHECK(said.session == 8);
}

TEST_CASE_METHOD(passing_fixture, "one batch is under way, whatever is to be passed on",
                 "[replica][passing][bounds]") {
  constexpr std::size_t body = 400'000;
  held_seqs all;
  for (std::uint64_t seq = 5; seq < 25; ++seq) {
    hold(0, all.empty() ? 0 : all.back(), {seq}, body);
    all.push_back(seq);
  }
  std::uint32_t version = wire_version;
  SECTION("to a node of this version") {}
  SECTION("to one of an earlier version") {
    version = passing_wire_version - 1;
  }
  up(0, 1, self, version);
  if (version != wire_version) pass(holder_patience, 1s); // it does not say whose events it has
  lose_origin();
  held_seqs got;
  std::uint64_t after = 0;
  replica_batch batch;
  for (int i = 0; i < 50 && got.size() < all.size(); ++i) {
    REQUIRE(take(self, batch));
    CHECK(batch.tag == origin_tag);
    CHECK(batch.node == "a");
    CHECK(batch.version ==
          (version == wire_version ? passing_wire_version : replicas_wire_version));
    CHECK(batch.after_seq == after);
    std::size_t bytes = 0;
    for (const auto& [row] : batch.rows) {
      got.push_back(row->first_seq);
      bytes += row->bodies.size();
    }
    CHECK(bytes <= max_replica_batch_bytes + body);
    after = got.empty() ? 0 : got.back();
    replica_batch other;
    CHECK_FALSE(take(self, other));
    self->send(nodes[0]->actor, replica_held{.session = batch.session, .settled_seq = after});
    run();
  }
  CHECK(got == all);
  CHECK(single(0) == 0);
}

TEST_CASE_METHOD(passing_fixture, "a node that refuses, or hangs, is left for the next",
                 "[replica][passing]") {
  hold(0, 0, {5, 6});
  up(0, 1, self);
  lose_origin();
  replica_batch question;
  REQUIRE(take(self, question));
  CHECK(question.rows.empty());
  link(0, 2);
  CHECK(nodes[2]->held().empty()); // one at a time
  SECTION("it refuses") {
    self->send(nodes[0]->actor, replica_held{.session = question.session, .ok = false});
    run();
  }
  SECTION("it hangs") {
    pass(holder_patience + 1s, 1s);
  }
  SECTION("it says that it has less than it was sent") {
    self->send(nodes[0]->actor, replica_held{.session = question.session, .settled_seq = 4});
    run();
    REQUIRE(take(self, question));
    CHECK(question.rows.size() == 2);
    self->send(nodes[0]->actor, replica_held{.session = question.session, .settled_seq = 5});
    run();
  }
  CHECK(nodes[2]->held() == held_seqs{5, 6});
}

TEST_CASE_METHOD(passing_fixture, "nobody holds its own events for itself", "[replica][passing]") {
  replica_batch question;
  question.tag = tags[0];
  question.node = "a";
  self->send(nodes[0]->actor, question);
  run();
  replica_held said;
  REQUIRE(take(self, said));
  CHECK_FALSE(said.ok);
  CHECK(nodes[0]->store->list().empty());
}

TEST_CASE_METHOD(passing_fixture, "an origin that a node refuses holds up no other",
                 "[replica][passing]") {
  hold(0, 0, {5});
  hold(0, 0, {7}, 0, "bbbbbbbb");
  up(0, 1, self);
  lose_origin();
  held_seqs got;
  replica_batch batch;
  while (take(self, batch)) {
    replica_held answer{.session = batch.session};
    answer.ok = batch.tag != origin_tag; // the first in order is never taken
    for (const auto& [row] : batch.rows)
      got.push_back(answer.settled_seq = row->first_seq);
    self->send(nodes[0]->actor, answer);
    run();
  }
  CHECK(got == held_seqs{7});
  CHECK(single(0) == 1);
}

TEST_CASE_METHOD(passing_fixture, "a full node that answers questions is not waited for for ever",
                 "[replica][passing][drain]") {
  hold(0, 0, {5, 6});
  up(0, 1, self);
  self->send(nodes[0]->actor, pass_on_held{});
  run();
  std::optional<held_passed_on> said;
  for (int i = 0; i < 12 && !said; ++i) {
    replica_batch batch;
    while (take(self, batch)) {
      self->send(nodes[0]->actor, replica_held{.session = batch.session, .ok = batch.rows.empty()});
      run();
    }
    pass(1s, 1s);
    said = passed_on();
  }
  REQUIRE(said);
  CHECK(said->left_events == 2);
}

// -- damage ---------------------------------------------------------------------------------------

TEST_CASE_METHOD(passing_fixture, "what can't be read is not passed on, and counts as on one node",
                 "[replica][passing][damage]") {
  hold(0, 0, {5, 6, 7});
  hold(0, 7, {8, 9});
  damage_row(*nodes[0]->store->catalog(origin_tag), 6);
  link(0, 1);
  lose_origin();
  CHECK(nodes[1]->held() == held_seqs{5, 7, 8, 9});
  CHECK(nodes[0]->partial_seq() == 9);
  CHECK(nodes[1]->partial_seq() == 9);
  CHECK(single(0) >= 1);
  const auto sent = nodes[0]->metrics->passed_events.value();
  pass(3 * holder_patience, 1s);
  CHECK(nodes[0]->metrics->passed_events.value() == sent); // once
  CHECK(single(0) >= 1);
  // Who takes the node away hears of it, without a wait for what will not come.
  self->send(nodes[0]->actor, pass_on_held{});
  run();
  const auto said = passed_on();
  REQUIRE(said);
  CHECK(said->left_events >= 1);
  CHECK_FALSE(said->why.empty());
}

TEST_CASE_METHOD(passing_fixture, "a copy that is not all is no second one",
                 "[replica][passing][damage]") {
  hold(1, 0, {5, 6, 7});
  require_ok(nodes[1]->store->note_partial(origin_tag, 7));
  hold(0, 0, {5, 6, 7});
  link(0, 1);
  lose_origin();
  CHECK(single(0) == 3);
  link(0, 2);
  CHECK(nodes[2]->held() == held_seqs{5, 6, 7});
  CHECK(nodes[2]->partial_seq() == 0);
  CHECK(single(0) == 0);
}

TEST_CASE_METHOD(passing_fixture, "who has all of it publishes before who has not",
                 "[replica][passing][damage]") {
  hold(0, 0, {5, 6, 7}); // whose tag is less
  hold(1, 0, {5, 6, 7});
  damage_row(*nodes[0]->store->catalog(origin_tag), 6);
  link(0, 1);
  lose_origin();
  require_ok(nodes[0]->store->note_partial(origin_tag, 7));
  pass(adopt_after + 5s, 1s);
  CHECK(adopted().size() == 1);
  REQUIRE(nodes[1]->store->list().empty()); // it is the adopter's
  self->send(nodes[1]->actor,
             replica_adopted{.tag = origin_tag, .node = "a", .is_done = true, .is_empty = true});
  run();
  CHECK(nodes[0]->store->list().empty());
}

TEST_CASE_METHOD(passing_fixture, "who could not publish all has nobody let go of it",
                 "[replica][passing][damage]") {
  hold(0, 0, {5, 6, 7}); // whose tag is less
  hold(1, 0, {5, 6, 7});
  link(0, 1);
  lose_origin();
  pass(adopt_after + 3s, 1s);
  CHECK(adopted().size() == 1);
  REQUIRE(nodes[0]->store->list().empty());
  replica_adopted said{.tag = origin_tag, .node = "a", .is_partial = true};
  SECTION("at once") {
    said.is_done = said.is_empty = true;
    self->send(nodes[0]->actor, said);
    run();
    CHECK(nodes[0]->store->list().empty());
    // Of what can't be read people may read more.
    CHECK(std::filesystem::exists(replica_dir(nodes[0]->dir.path(), origin_tag + ".adopted")));
  }
  SECTION("a part, and the rest another time, when nothing more is said of damage") {
    self->send(nodes[0]->actor, said);
    run();
    CHECK(nodes[0]->partial_seq() == 7);
    lose(1); // so that it goes on itself
    pass(adopt_again_interval + 2s, 1s);
    CHECK(adopted().size() == 1);
    origin = system.spawn(an_origin);
    link(0, 2);
    hold(2, 0, {5, 6, 7});
    self->send(nodes[0]->actor,
               replica_adopted{.tag = origin_tag, .node = "a", .is_done = true, .is_empty = true});
    run();
    CHECK(nodes[2]->held() == held_seqs{5, 6, 7});
    return;
  }
  CHECK(nodes[1]->held() == held_seqs{5, 6, 7});
  pass(2 * adopt_after, 1s);
  CHECK(adopted().size() == 1); // what both published has the same ids
  end_last_adoption(*nodes[1]);
}

TEST_CASE_METHOD(passing_fixture, "what reaches a holder in part is not told as all",
                 "[replica][passing][damage]") {
  replica_batch batch;
  batch.version = passing_wire_version;
  batch.tag = origin_tag;
  batch.node = "a";
  batch.is_partial = true;
  batch.rows = {{std::make_shared<const event_block>(numbered_block(5, 2))}};
  self->send(origin, nodes[0]->actor, batch);
  run();
  CHECK(nodes[0]->partial_seq() == 6);
  up(0, 1, self);
  lose_origin();
  pass(1s, 1s);
  replica_news news;
  REQUIRE(take(self, news));
  CHECK(news.by == tags[0]);
  CHECK(news.is_partial);
  CHECK_FALSE(news.is_published);
  while (take(self, news))
    ;
  pass(adopt_after + 8s, 1s);
  CHECK(adopted().size() == 1);
  self->send(nodes[0]->actor,
             replica_adopted{.tag = origin_tag, .node = "a", .is_done = true, .is_empty = true});
  run();
  while (take(self, news))
    CHECK_FALSE(news.is_published);
  CHECK(nodes[0]->store->list().empty());
}

// -- an origin that comes back --------------------------------------------------------------------

namespace {

/// What is held of a node that is away, and how the passer asks.
class asking_fixture : public passing_fixture {
 public:
  asking_fixture() : passer(nodes[0]->store) { hold(0, 0, {5, 6}); }

  void link_up(std::uint32_t version) {
    peer_up up;
    up.member = 1;
    up.address = "10.0.0.1:1";
    up.replicas = stand_in(self);
    up.version = version;
    passer.on_peer_up(up, now);
  }
  bool asks() { return passer.next({of}, now).has_value(); }

  held_passer passer;
  held_passer::time_point now{1h};
  held_origin of{.tag = origin_tag, .node = "a", .settled_seq = 6};
};

} // namespace

TEST_CASE_METHOD(asking_fixture, "an origin that comes back is not asked to hold its own events",
                 "[replica][passing]") {
  SECTION("that has told whose events it has") {
    link_up(wire_version);
    passer.on_tag(self->node(), origin_tag);
    CHECK_FALSE(asks());
    CHECK_FALSE(passer.has_target(of, now));
  }
  // Such a one would take them.
  SECTION("of an earlier version, before it has told") {
    link_up(passing_wire_version - 1);
    CHECK_FALSE(asks());
    passer.on_tag(self->node(), origin_tag);
    now += 2 * holder_patience;
    CHECK_FALSE(asks());
  }
  SECTION("another of an earlier version is asked when it has told") {
    link_up(passing_wire_version - 1);
    passer.on_tag(self->node(), "bbbbbbbb");
    CHECK(asks());
  }
  SECTION("or says nothing") {
    link_up(passing_wire_version - 1);
    now += holder_patience;
    CHECK(asks());
  }
}

TEST_CASE_METHOD(passing_fixture, "a node's own events, which an earlier program took, go nowhere",
                 "[replica][passing]") {
  nodes[0].reset();
  run();
  temporary_dir dir;
  replica_options options;
  options.dir = dir.path();
  options.preallocate = false;
  std::shared_ptr<replica_store> store = replica_store::open(options).value();
  require_ok(store->add_origin(tags[0], "h"));
  require_ok(store->append(tags[0], numbered_block(5, 2)));
  require_ok(store->commit(tags[0]));
  const auto metrics = std::make_shared<replica_metrics>();
  const bool lost_some = GENERATE(false, true);
  const auto again =
      plain_actor(system.spawn(replica_actor, replica_parts{store, adopt_after, stand_in(self),
                                                            metrics, tags[0], lost_some}));
  run();
  peer_up up;
  up.member = 1;
  up.address = "10.0.0.1:1";
  up.replicas = stand_in(nodes[1]->actor);
  self->send(again, up);
  pass(adopt_after + 5s, 1s);
  CHECK(nodes[1]->store->list().empty());
  CHECK(metrics->single_events.value() == 0);
  CHECK(adopted().empty());
  CHECK(store->list().empty()); // its journal has them
  // Or it may be the last copy of what that lost.
  CHECK(std::filesystem::exists(replica_dir(dir.path(), tags[0] + ".adopted")) == lost_some);
  caf::anon_send(again, drain{});
  run();
}

TEST_CASE_METHOD(actor_fixture, "it is worth to wait while one origin may still go somewhere",
                 "[replica][passing]") {
  held_passer passer{nullptr};
  peer_up up;
  up.member = 1;
  up.replicas = stand_in(self);
  const held_passer::time_point now{};
  passer.on_peer_up(up, now);
  const held_origin of_peer{.tag = "a", .node = "n", .settled_seq = 5};
  passer.on_tag(up.replicas.node(), "a");
  const held_origin of_other{.tag = "b", .node = "m", .settled_seq = 5};
  CHECK(passer.is_stuck({of_peer}, now, now));
  CHECK_FALSE(passer.is_stuck({of_peer, of_other}, now, now));
  CHECK(passer.is_stuck({of_peer, of_other}, now, now + 2 * holder_patience));
}

TEST_CASE_METHOD(passing_fixture, "refusals are remembered of origins and targets that there are",
                 "[replica][passing][bounds]") {
  held_passer passer{nodes[0]->store};
  held_passer::time_point now{1h};
  constexpr std::uint16_t targets = 3;
  const auto max_origins = nodes[0]->store->options().max_origins;
  for (std::uint16_t member = 1; member <= targets; ++member) {
    peer_up up{.member = member};
    up.address = "10.0.0." + std::to_string(member) + ":1";
    up.replicas = stand_in(self);
    passer.on_peer_up(up, now);
  }
  // Asks until nobody is left who has not refused.
  const auto ask_all = [&](const std::vector<held_origin>& origins) {
    std::size_t asked = 0;
    while (const auto question = passer.next(origins, now)) {
      ++asked;
      passer.on_held(replica_held{.session = question->batch.session, .ok = false}, now);
    }
    return asked;
  };
  std::vector<held_origin> origins;
  for (std::size_t i = 0; i < max_origins; ++i) {
    const std::string tag(8, "abcdefgijklmnopq"[i]); // 'h' is the node's own
    hold(0, 0, {5}, 0, tag);
    origins.push_back({.tag = tag, .node = "n", .settled_seq = 5});
  }
  CHECK(ask_all(origins) == targets * max_origins);
  CHECK(passer.refusals() == targets * max_origins);
  CHECK(ask_all(origins) == 0);
  SECTION("an origin goes, and another comes before the refusals are over") {
    origins.erase(origins.begin());
    CHECK(ask_all(origins) == 0);
    CHECK(passer.refusals() == targets * (max_origins - 1));
  }
  SECTION("a target goes") {
    passer.on_peer_down({1});
    CHECK(passer.refusals() == (targets - 1) * max_origins);
  }
  SECTION("they are over") {
    now += holder_patience;
    CHECK(ask_all({}) == 0);
    CHECK(passer.refusals() == 0);
  }
}
