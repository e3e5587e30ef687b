// The lease model makes its caches, granters and ledgers anew for each step. Here each step is
// taken by objects that live on as well, and both must come out the same.
#include "actors/limits/limit_messages.hpp"
#include "tests/unit/actors/limits/lease_model.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

namespace penstock::lease_model {

namespace {

constexpr std::int64_t mirror_ms = 1'000'000;

template <class T>
T pull(std::vector<T>& from, std::size_t which) {
  T out = from.at(which);
  from.erase(from.begin() + static_cast<std::ptrdiff_t>(which));
  return out;
}

/// Two holders and an owner, as a program has them.
struct mirror {
  struct asked {
    std::size_t holder;
    std::uint32_t events;
    std::uint32_t requested_units;
    std::int64_t at_ns;
    lease_origin from;
    lease_settlement settlement;
  };
  struct told {
    std::size_t holder;
    std::int64_t asked_ns;
    lease_answer what;
  };

  explicit mirror(const plan& rules)
      : ledger(std::make_shared<const std::vector<plan>>(1, rules), 100,
               std::make_shared<limit_labels>()),
        granter(ledger, 100, 7), terms(terms_of(rules, all_limits)),
        key(lease_key_of(rules, {5, 0, plan_id(rules.name), 0, all_limits})) {}

  admit_item item(std::uint32_t events) const {
    return {.client = 5, .plan = key.plan, .events = events};
  }
  limit_state state(std::int64_t now_ns) {
    return *ledger.locate(item(1), now_ns).entries[0].states;
  }

  void spend(std::size_t holder, std::uint32_t units, std::int64_t now_ns) {
    lease_cache& cache = caches[holder];
    if (cache.spend(key, units, now_ns)) return;
    (void)cache.spend(key, 1000, now_ns);
    const std::uint32_t requested_units = cache.units_to_request(key, terms, now_ns);
    questions.push_back({holder,
                         units,
                         requested_units,
                         now_ns,
                         {holder + 1, ++last_token},
                         cache.settlement(key)});
  }
  void decide(std::size_t which, std::int64_t now_ns) {
    const asked what = pull(questions, which);
    const auto at = ledger.locate(item(what.events), now_ns);
    (void)granter.settle(key, what.from.holder, what.settlement, now_ns);
    const auto decided = ledger.decide(at, item(what.events), {}, now_ns);
    replies.push_back(
        {what.holder, what.at_ns,
         granter.answer(at, item(what.events), decided, what.requested_units, what.from, now_ns)});
  }
  void take(std::size_t which, std::int64_t now_ns) {
    const told got = pull(replies, which);
    if (const auto back = caches[got.holder].take(key, 0, {}, got.what, got.asked_ns, now_ns))
      returns.push_back(back->what);
  }
  void collect(std::size_t holder, std::int64_t now_ns) {
    for (const auto& back : caches[holder].collect(now_ns))
      returns.push_back(back.what);
  }

  limit_ledger ledger;
  lease_granter granter;
  lease_terms terms;
  lease_key key;
  std::array<lease_cache, 2> caches{lease_cache{10}, lease_cache{10}};
  std::vector<asked> questions;
  std::vector<told> replies;
  std::vector<lease_return> returns;
  std::uint64_t last_token = 0;
};

void follow(mirror& real, const action& step, const world& before, const world& after) {
  const std::int64_t now_ns = before.now_ns;
  if (step.what == act::spend) real.spend(step.first, step.second, now_ns);
  if (step.what == act::decide) real.decide(step.first, now_ns);
  if (step.what == act::take) real.take(step.first, now_ns);
  if (step.what == act::collect) real.collect(step.first, now_ns);
  if (step.what == act::give_back)
    (void)real.granter.take_back(pull(real.returns, step.first), now_ns);
  if (step.what == act::lose_return) (void)pull(real.returns, step.first);
  if (step.what == act::sweep) (void)real.ledger.sweep(now_ns, 10);
  REQUIRE(real.state(after.now_ns) == after.owners[0].states[0]);
  REQUIRE(real.granter.leases() == after.owners[0].leases.size());
  for (std::size_t i = 0; i < 2; ++i)
    REQUIRE(real.caches[i].units() == after.holders[i].told.units);
  REQUIRE(real.returns.size() == after.returns.size());
  REQUIRE(real.questions.size() == after.questions.size());
  REQUIRE(real.replies.size() == after.replies.size());
  for (std::size_t i = 0; i < real.replies.size(); ++i) {
    lease_answer told = real.replies[i].what;
    told.lease = after.replies[i].told.lease; // numbers are each side's own
    REQUIRE(told == after.replies[i].told);
  }
}

bool is_mirrored(act what) {
  return what != act::crowd && what != act::forget && what != act::change_plan;
}

void walk(const setup& what, std::uint64_t seed) {
  test_random random(seed);
  engine model(what);
  mirror real(what.plans[0]);
  world at = model.start();
  REQUIRE(real.ledger.decide(real.item(440 - what.spare), {}, at.now_ns).answer.granted ==
          440 - what.spare);
  std::string why;
  for (int step = 0; step < 300; ++step) {
    const auto actions = model.actions(at);
    const action next = actions[static_cast<std::size_t>(
        random.between(0, static_cast<std::int64_t>(actions.size()) - 1))];
    if (!is_mirrored(next.what)) continue;
    at.left = {.questions = 255, .ticks = 255};
    world to = at;
    if (!model.apply(to, next, why)) continue;
    REQUIRE(why == "");
    INFO("seed " << seed << ", step " << step << ": " << text_of(next));
    follow(real, next, at, to);
    at = std::move(to);
  }
}

} // namespace

TEST_CASE("lease model: what is made anew for a step is as what lives on", "[lease][model][slow]") {
  for (const auto kind : {algorithm::fixed_window, algorithm::sliding_window, algorithm::gcra}) {
    limit rule;
    rule.name = "a";
    rule.kind = kind;
    rule.amount = 440;
    rule.window_ns = (kind == algorithm::gcra ? 440 : 30) * mirror_ms;
    setup what;
    what.plans = {plan{"p", {rule}}, plan{"p", {rule}}};
    what.tick_ns = 5 * mirror_ms;
    for (const std::uint32_t spare : {12u, 435u}) {
      what.spare = spare;
      for (std::uint64_t seed = 1; seed <= 20; ++seed)
        walk(what, seed);
    }
  }
}

} // namespace penstock::lease_model
