// Several nodes' limiters on virtual time, one each, with front ends played by the test.
#pragma once

#include "actors/base/shards.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/limiter/limiter.hpp"
#include "actors/limits/limit_messages.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <bitset>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

inline constexpr std::int64_t world_ms = 1'000'000;
inline constexpr std::int64_t world_s = 1000 * world_ms;

/// What a process finds on its disk.
struct found_counters {
  std::vector<counter_row> rows{};
  std::bitset<shard_count> handed_over{};
};

class limiter_world : public actor_fixture {
 public:
  struct node {
    std::string address;
    std::string incarnation;
    std::shared_ptr<limit_ledger> ledger;
    std::shared_ptr<std::atomic<std::int64_t>> decides_until;
    std::shared_ptr<limiter_cluster_metrics> metrics = std::make_shared<limiter_cluster_metrics>();
    std::shared_ptr<limiter_metrics> verdicts = std::make_shared<limiter_metrics>();
    caf::actor limiter;
    std::unique_ptr<caf::scoped_actor> front_end;
    bool alive = true;
    bool leaving = false;
    std::vector<shard_mark> marks; // that its store was told
  };

  explicit limiter_world(unreachable_policy policy = unreachable_policy::refuse)
      : on_unreachable(policy) {}
  ~limiter_world() {
    for (auto& each : nodes)
      caf::anon_send_exit(each->limiter, caf::exit_reason::user_shutdown);
    for (auto& each : stores)
      caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
    run();
  }

  static plan minute_plan(std::uint32_t amount, algorithm kind = algorithm::fixed_window) {
    limit rule;
    rule.name = "minute";
    rule.kind = kind;
    rule.amount = amount;
    rule.window_ns = 60 * world_s;
    return {"p", {rule}};
  }

  node& add(const plan& rules) {
    auto made = std::make_unique<node>();
    made->address = std::string(1, static_cast<char>('a' + nodes.size()));
    made->incarnation = made->address + "1";
    made->ledger = std::make_shared<limit_ledger>(
        std::make_shared<const std::vector<plan>>(1, rules), 1000, labels);
    made->decides_until = std::make_shared<std::atomic<std::int64_t>>(INT64_MAX);
    made->front_end = std::make_unique<caf::scoped_actor>(system);
    limiter_cluster_parts parts;
    parts.self = static_cast<std::uint16_t>(nodes.size());
    parts.on_unreachable = on_unreachable;
    parts.steady_ns = [this] { return now; };
    parts.decides_until_ns = made->decides_until;
    parts.holder = holder_of(made->incarnation);
    parts.metrics = made->metrics;
    made->limiter = plain_actor(system.spawn(
        limiter, limiter_parts{made->ledger, [this] { return now; }, made->verdicts, {}, parts}));
    nodes.push_back(std::move(made));
    return *nodes.back();
  }

  /// Another process at the address of a dead node, which knows what its disk says.
  void restart(std::size_t who, const plan& rules, const found_counters& found = {}) {
    node& back = *nodes[who];
    limiter_cluster_parts parts;
    parts.self = static_cast<std::uint16_t>(who);
    parts.on_unreachable = on_unreachable;
    parts.steady_ns = [this] { return now; };
    parts.metrics = back.metrics;
    back.incarnation += "'";
    parts.holder = holder_of(back.incarnation);
    back.ledger = std::make_shared<limit_ledger>(
        std::make_shared<const std::vector<plan>>(1, rules), 1000, labels);
    for (const auto& row : found.rows) {
      back.ledger->restore(row, now);
      parts.saved.set(shard_of(row.client));
    }
    parts.saved &= ~found.handed_over;
    parts.handed_over = found.handed_over;
    stores.push_back(system.spawn([&back](caf::event_based_actor*) -> caf::behavior {
      return {[&back](const counters_changed& update) {
        back.marks.insert(back.marks.end(), update.marks.begin(), update.marks.end());
        return counters_saved{};
      }};
    }));
    back.limiter = plain_actor(
        system.spawn(limiter, limiter_parts{back.ledger, [this] { return now; }, back.verdicts,
                                            stand_in(stores.back()), parts}));
    back.alive = true;
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (i != who && nodes[i]->alive) link(who, i);
  }

  std::uint16_t number_of(const std::string& address) const {
    return static_cast<std::uint16_t>(address[0] - 'a');
  }
  void link(std::size_t a, std::size_t b) {
    tell(a, peer_up{static_cast<std::uint16_t>(b), {stand_in(nodes[b]->limiter)}});
    tell(b, peer_up{static_cast<std::uint16_t>(a), {stand_in(nodes[a]->limiter)}});
  }
  void cut(std::size_t a, std::size_t b) {
    tell(a, peer_down{static_cast<std::uint16_t>(b)});
    tell(b, peer_down{static_cast<std::uint16_t>(a)});
  }
  template <class T>
  void tell(std::size_t who, T what) {
    if (nodes[who]->alive) caf::anon_send(nodes[who]->limiter, std::move(what));
  }

  /// The view of all that are alive or leave; told to those in `to`, or to all.
  void next_view(std::vector<std::size_t> to = {}) {
    view.before = view.members;
    view.members.clear();
    ++view.epoch;
    for (auto& each : nodes)
      if (each->alive) view.members.push_back({each->address, each->incarnation, each->leaving});
    if (to.empty())
      for (std::size_t i = 0; i < nodes.size(); ++i)
        to.push_back(i);
    for (const auto i : to)
      tell_view(i);
  }
  void tell_view(std::size_t who) {
    placement places = place(view, [this](const std::string& at) { return number_of(at); });
    for (const auto& each : nodes)
      places.members.push_back(is_in_view(*each) ? each->address : std::string{});
    places.includes_self = is_in_view(*nodes[who]);
    places.confirmed = confirmed;
    tell(who, placement_changed{std::make_shared<const placement>(places)});
  }
  /// All but that one are told of a view without it.
  void go_on_without(std::size_t who) {
    view.before = view.members;
    std::erase_if(view.members, [&](auto& each) { return each.address == nodes[who]->address; });
    ++view.epoch;
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (i != who) tell_view(i);
    run();
  }
  bool is_in_view(const node& which) const {
    return std::ranges::count(view.members, which.address, &view_member::address) != 0;
  }
  void kill(std::size_t who) {
    nodes[who]->alive = false;
    caf::anon_send_exit(nodes[who]->limiter, caf::exit_reason::kill);
    run();
    for (std::size_t i = 0; i < nodes.size(); ++i)
      tell(i, peer_down{static_cast<std::uint16_t>(who)});
    run();
  }

  /// Which node owns the client by the view.
  std::size_t owner_of_client(std::uint64_t client) const {
    const auto places = place(view, [this](const std::string& at) { return number_of(at); });
    return places.shards[shard_of(client)].owner;
  }

  void pass_time(std::int64_t time_ms) {
    for (; time_ms > 0; --time_ms) {
      now += world_ms;
      scheduler.advance_time(std::chrono::milliseconds{1});
      run();
    }
  }

  /// A request through that node; its verdict may come later: see collect().
  void ask(std::size_t through, std::uint64_t client, std::uint32_t events = 1) {
    admit_item item;
    item.client = client;
    item.plan = plan_id("p");
    item.events = events;
    (*nodes[through]->front_end)
        ->send(nodes[through]->limiter, admit_request{++last_token, {item}, {}});
  }
  /// All verdicts that have come to that node's front end.
  std::vector<verdict> collect(std::size_t at) {
    run();
    std::vector<verdict> out;
    admit_reply reply;
    while (take(*nodes[at]->front_end, reply))
      for (const auto& each : reply.verdicts)
        if (each.reason != verdict::pending) out.push_back(each);
    return out;
  }
  std::optional<verdict> ask_one(std::size_t through, std::uint64_t client,
                                 std::uint32_t events = 1) {
    ask(through, client, events);
    const auto all = collect(through);
    return all.size() == 1 ? std::optional{all[0]} : std::nullopt;
  }

  unreachable_policy on_unreachable;
  std::shared_ptr<limit_labels> labels = std::make_shared<limit_labels>();
  std::vector<std::unique_ptr<node>> nodes;
  std::vector<caf::actor> stores;
  cluster_view view;
  bool confirmed = true; ///< as placements say that are told
  std::int64_t now = 1'700'000'040 * world_s;
  std::uint64_t last_token = 0;
};

inline constexpr std::uint64_t some_client = 0x4200000000000007;

/// Three, of which one owns the client.
class three_limiters : public limiter_world {
 public:
  explicit three_limiters(unreachable_policy policy = unreachable_policy::refuse,
                          std::uint32_t amount = 10'000)
      : limiter_world(policy) {
    for (int i = 0; i < 3; ++i)
      add(minute_plan(amount));
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = i + 1; j < 3; ++j)
        link(i, j);
    next_view();
    run();
  }
  std::size_t owner() const { return owner_of_client(some_client); }
  std::size_t other() const { return (owner() + 1) % 3; }
  std::size_t third() const { return (owner() + 2) % 3; }
};

class local_limiters : public three_limiters {
 public:
  local_limiters() : three_limiters(unreachable_policy::local, 10) {}
};

class small_limiters : public three_limiters {
 public:
  small_limiters() : three_limiters(unreachable_policy::refuse, 10) {}
};

} // namespace penstock
