#include "tests/simulation/cluster.hpp"

#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/shards.hpp"
#include "actors/limits/limit_messages.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock::simulation {
namespace {

/// The present time of the world that runs, for clocks that are told by a plain function.
std::int64_t steady_now = 0;
std::int64_t read_steady() {
  return steady_now;
}

constexpr std::int64_t real_ns = 1'790'000'000 * second;
constexpr std::int64_t step_ns = 5 * ms;
constexpr std::int64_t lost_with_a_link = 10;
constexpr std::int64_t charged_since_shown = 4;
constexpr std::int64_t hand_over_patience_ns = 10 * second;

std::shared_ptr<const std::vector<plan>> the_plans() {
  limit shared;
  shared.name = "shared";
  shared.kind = algorithm::fixed_window;
  shared.amount = limit_amount;
  shared.window_ns = 12 * 3600 * second;
  limit fast;
  fast.name = "fast";
  fast.kind = algorithm::gcra;
  fast.amount = fast_burst;
  fast.window_ns = fast_burst * fast_interval_ns;
  limit in_window;
  in_window.name = "window";
  in_window.kind = algorithm::fixed_window;
  in_window.amount = short_amount;
  in_window.window_ns = short_window_ns;
  return std::make_shared<const std::vector<plan>>(std::vector<plan>{
      {"anonymous", {}}, {"p", {shared}}, {"fast", {fast}}, {"short", {in_window}}});
}

} // namespace

cluster::cluster(std::uint64_t seed, const client_counts& counts, bool with_events)
    : random(seed), store(when, random), system_(config_),
      scheduler_(dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler())),
      network_(system_, when, random), counts_(counts),
      windows_(counts.in_short_windows, {short_window_ns, short_amount, answer_tolerance_ns}),
      admitted_(counts.all), admitted_ns_(counts.all), people_(system_, seed + 1) {
  steady_now = when.now_ns();
  if (with_events) event_log_ = std::make_unique<event_log>();
  for (std::size_t i = 0; i < counts.all; ++i)
    clients_.push_back(static_cast<std::uint64_t>(random.between(1, INT64_MAX)) * 2 + i % 2);
}

cluster::~cluster() {
  for (auto& each : nodes_)
    stop(*each);
  scheduler_.run();
  scheduler_.clock().cancel_all();
}

// -- nodes ----------------------------------------------------------------------------------------

std::size_t cluster::add(std::int64_t clock_off_ns) {
  auto made = std::make_unique<node>();
  made->number = static_cast<int>(nodes_.size());
  made->address = fmt::format("n{:02}", nodes_.size());
  made->clock_off_ns = clock_off_ns;
  nodes_.push_back(std::move(made));
  start(*nodes_.back());
  return nodes_.size() - 1;
}

void cluster::start(node& which) {
  which.up = true;
  which.leaving = false;
  which.paused_until_ns = 0;
  which.has_kept_shards = false;
  which.standing.store(cluster_standing::no_directory);
  which.places = nullptr;
  which.linked.clear();
  const auto incarnation = fmt::format("{}-{}", which.address, ++which.starts);
  which.time = std::make_shared<cluster_time>();
  which.time->base_ns.store(real_ns + which.clock_off_ns);
  which.decides_until = std::make_shared<std::atomic<std::int64_t>>(0);
  which.figures = std::make_shared<limiter_cluster_metrics>();
  which.accounts.load(*the_plans());
  start_limiter(which, incarnation);
  which.writer = start_writer(which);
  which.links = system_.spawn([this, &which](caf::event_based_actor*) -> caf::behavior {
    return {[this, &which](const placement_changed& change) { on_placement(which, change.to); }};
  });
  which.front_end = system_.spawn([this, &which](caf::event_based_actor*) -> caf::behavior {
    return {[this](const admit_reply& reply) { on_reply(reply); },
            [&which](const accounts_changed& change) { which.accounts.take(change); }};
  });
  which.accounts.start(system_,
                       {stand_in(which.writer), stand_in(which.front_end), stand_in(which.limiter),
                        [this, &which] { return system_ns(which) / 1000; }});
  if (event_log_) start_events(which);
  start_membership(which, incarnation);
  which.acting.clear();
  for (const auto* each : actors_of(which))
    which.acting.insert(
        dynamic_cast<const caf::resumable*>(caf::actor_cast<caf::abstract_actor*>(*each)));
}

std::vector<const caf::actor*> cluster::actors_of(const node& which) {
  std::vector<const caf::actor*> all{&which.membership,      &which.limiter, &which.counters,
                                     &which.writer,          &which.links,   &which.front_end,
                                     &which.accounts.actor()};
  if (which.log.is_on())
    for (const auto* each : which.log.actors())
      all.push_back(each);
  return all;
}

void cluster::start_events(node& which) {
  act(); // what an earlier process had open is closed
  if (which.is_missed && which.has_disk)
    event_log_->disk_is_back(static_cast<std::size_t>(which.number));
  which.is_missed = which.has_passed_on = false;
  which.log.start({&system_, &when, &random, event_log_.get()},
                  static_cast<std::size_t>(which.number), which.address);
  publish_soon(which);
}

void cluster::publish_soon(node& which) {
  when.after(random.between(100 * ms, 4 * second), [this, &which, starts = which.starts] {
    if (!which.up || which.starts != starts) return;
    if (which.paused_until_ns <= when.now_ns()) which.log.publish();
    publish_soon(which);
  });
}

std::int64_t cluster::system_ns(const node& which) const {
  return when.now_ns() + real_ns + which.clock_off_ns;
}

void cluster::start_limiter(node& which, const std::string& incarnation) {
  which.ledger = std::make_shared<limit_ledger>(which.accounts.plans(), 100'000, labels_);
  limiter_cluster_parts peers;
  for (const auto& [key, row] : which.saved) {
    which.ledger->restore(row,
                          which.time->base_ns.load() + when.now_ns() - max_clock_difference_ns);
    peers.saved.set(shard_of(row.client));
  }
  peers.handed_over = which.handed_over;
  peers.saved &= ~which.handed_over;
  peers.on_unreachable = unreachable_policy::refuse;
  peers.steady_ns = read_steady;
  peers.decides_until_ns = which.decides_until;
  peers.holder = holder_of(incarnation);
  peers.metrics = which.figures;
  peers.series = static_cast<std::uint32_t>(random.between(1, UINT32_MAX));
  which.counters = start_counters(which);
  which.limiter = plain_actor(
      system_.spawn(limiter, limiter_parts{which.ledger, wall_clock{which.time, read_steady},
                                           std::make_shared<limiter_metrics>(),
                                           stand_in(which.counters), peers}));
}

// What is saved is durable a moment later.
caf::actor cluster::start_counters(node& which) {
  return system_.spawn(
      [this, &which, starts = which.starts](caf::event_based_actor* self) -> caf::behavior {
        return {[=, this, &which](const counters_changed& update) {
                  const auto marks = update.marks;
                  const auto rows = update.rows;
                  const auto limiter = caf::actor_cast<caf::actor>(self->current_sender());
                  when.after(random.between(100'000, 20 * ms), [=, this, &which] {
                    if (!which.up || which.starts != starts) return;
                    for (const auto& row : *rows)
                      which.saved[{row.client, row.plan, row.limit, row.scope}] = row;
                    for (const auto& mark : marks)
                      which.handed_over.set(mark.shard, mark.is_handed_over);
                    caf::anon_send(limiter, counters_saved{});
                  });
                },
                [](penstock::drain) { return drained{}; }};
      });
}

caf::actor cluster::start_writer(node& which) {
  return system_.spawn(
      [this, &which, starts = which.starts](caf::event_based_actor* self) -> caf::behavior {
        auto asked = std::make_shared<std::map<std::uint64_t, caf::response_promise>>();
        return {[=, this, &which](const directory_request& request) -> caf::result<directory_done> {
                  const auto token = ++tokens_;
                  auto promise = (*asked)[token] = self->make_response_promise();
                  store.carry_out(
                      which.number, request,
                      [&which, starts, token](directory_done done) {
                        if (which.up && which.starts == starts)
                          caf::anon_send(which.writer, token, std::move(done));
                      },
                      [&which, starts](const store_news& news) {
                        if (which.up && which.starts == starts) tell(which, news);
                      });
                  return promise;
                },
                [=, this, &which](const records_changed& request) -> caf::result<records_put> {
                  const auto token = ++tokens_;
                  auto promise = (*asked)[token] = self->make_response_promise();
                  store.put(which.number, request.records, [&which, starts, token](bool ok) {
                    if (which.up && which.starts == starts)
                      caf::anon_send(which.writer, token, records_put{ok});
                  });
                  return promise;
                },
                [asked](std::uint64_t token, records_put done) {
                  if (auto found = asked->extract(token)) found.mapped().deliver(done);
                },
                [asked](std::uint64_t token, directory_done done) {
                  if (auto found = asked->extract(token)) found.mapped().deliver(std::move(done));
                }};
      });
}

// As directory_writer does.
void cluster::tell(const node& which, const store_news& news) {
  const auto& accounts = which.accounts.actor();
  if (!news.records.empty()) return caf::anon_send(accounts, records_told{news.records});
  caf::anon_send(which.membership, news.update);
  if (news.update.watching) caf::anon_send(accounts, records_watched{});
  if (news.update.away) caf::anon_send(accounts, records_away{});
}

void cluster::start_membership(node& which, const std::string& incarnation) {
  membership_parts parts;
  parts.self.address = which.address;
  parts.self.incarnation = incarnation;
  parts.settled_epoch = [figures = which.figures] {
    return static_cast<std::uint64_t>(figures->settled_epoch.value());
  };
  parts.steady_ns = read_steady;
  parts.system_ns = [this, &which] { return system_ns(which); };
  parts.time = which.time;
  parts.standing = &which.standing;
  parts.decides_until_ns = which.decides_until;
  parts.placed = {stand_in(which.limiter)};
  parts.limiters = {stand_in(which.limiter)};
  parts.metrics = std::make_shared<membership_metrics>();
  parts.board = which.board = std::make_shared<membership_status>();
  which.membership = plain_actor(system_.spawn(membership_actor, std::move(parts)));
  caf::anon_send(which.membership,
                 membership_partners{stand_in(which.writer), stand_in(which.links)});
}

void cluster::stop(node& which) {
  if (!which.up) return;
  which.up = false;
  // Of who leaves last, with nobody to hand over to, it says nothing: it decides nothing any more.
  if (!which.leaving) incomplete_of_gone_ += which.figures->moves_incomplete.value();
  store.forget(which.number);
  for (std::size_t other = 0; other < nodes_.size(); ++other)
    if (static_cast<int>(other) != which.number)
      unlink(static_cast<std::size_t>(which.number), other);
  which.acting.clear();
  for (const auto* each : actors_of(which))
    caf::anon_send_exit(*each, caf::exit_reason::kill);
  if (!event_log_) return;
  which.log.stop();
  which.is_missed = !which.leaving || !which.has_passed_on;
  if (which.is_missed) event_log_->node_went(static_cast<std::size_t>(which.number), when.now_ns());
}

// What a drain does, in its order: see node_drain and cluster_unit.
void cluster::drain(std::size_t who) {
  auto& which = *nodes_[who];
  incomplete_of_gone_ += which.figures->moves_incomplete.value();
  which.leaving = true;
  ask_to(which.membership, leave_cluster{false}, [this, &which, starts = which.starts](bool) {
    if (!which.up || which.starts != starts) return;
    const auto gone = std::make_shared<bool>();
    system_.spawn([=, this, &which](caf::event_based_actor* self) {
      self->request(which.limiter, caf::infinite, leave_shards{})
          .then([gone](shards_gone) { *gone = true; }, [](const caf::error&) {});
    });
    await_hand_over(which, gone, when.now_ns() + hand_over_patience_ns);
  });
  if (!event_log_) return;
  system_.spawn([&which, starts = which.starts](caf::event_based_actor* self) {
    self->request(which.log.replicas(), caf::infinite, pass_on_held{})
        .then(
            [&which, starts](const held_passed_on& done) {
              if (which.starts == starts) which.has_passed_on = done.left_events == 0;
            },
            [](const caf::error&) {});
  });
}

// Shards go only where somebody stays who can take them.
void cluster::await_hand_over(node& which, const std::shared_ptr<bool>& gone,
                              std::int64_t until_ns) {
  const auto state = which.board->get();
  const bool somebody_stays = std::ranges::any_of(state.members, [&which](const auto& each) {
    return each.in_view && !each.record.leaving && each.record.address != which.address;
  });
  const bool is_done = *gone && (!event_log_ || which.has_passed_on);
  if (!is_done && somebody_stays && when.now_ns() < until_ns) {
    when.after(20 * ms, [=, this, &which, starts = which.starts] {
      if (which.up && which.starts == starts) await_hand_over(which, gone, until_ns);
    });
    return;
  }
  which.has_kept_shards = !*gone;
  const auto starts = which.starts;
  const auto end = [=, this, &which](bool) {
    if (which.up && which.starts == starts) stop(which);
  };
  ask_to(which.membership, leave_cluster{true}, [=, this, &which](bool) {
    if (which.up && which.starts == starts) ask_to(which.limiter, penstock::drain{}, end);
  });
}

// What its backup does not know yet is charged again, and what it has leased is not known to it.
void cluster::may_lose(std::size_t who) {
  const auto& which = *nodes_[who];
  // The figure is shown every 50 ms.
  allowed_.too_many += which.figures->unsent_units.value() + charged_since_shown;
  // What is charged while the backup is out of reach is not bounded.
  for (std::size_t other = 0; other < nodes_.size(); ++other) {
    const auto linked = which.linked.find(other);
    const bool is_linked = linked != which.linked.end() && linked->second;
    if (other != who && nodes_[other]->up &&
        (!is_linked || when.now_ns() - which.linked_ns.at(other) < second))
      allowed_.is_bounded = false;
  }
  allowed_.too_few += which.figures->leased_units.value();
}

void cluster::kill(std::size_t who) {
  auto& which = *nodes_[who];
  if (!which.up) return;
  may_lose(who);
  stop(which);
}

void cluster::start_again(std::size_t who, bool with_disk) {
  if (!with_disk) {
    nodes_[who]->saved.clear();
    nodes_[who]->handed_over.reset();
    nodes_[who]->accounts.lose_disk();
    nodes_[who]->log.lose_disk();
  }
  nodes_[who]->has_disk = with_disk;
  start(*nodes_[who]);
}

// The others go on without it after a silence of remove_ns, and its links are lost a little later.
void cluster::pause(std::size_t who, std::int64_t time_ns) {
  auto& which = *nodes_[who];
  which.paused_until_ns = when.now_ns() + time_ns;
  if (time_ns >= membership_times{}.fence_ns) {
    may_lose(who);
    // Also what the others have leased of it.
    for (const auto& each : nodes_)
      if (each->up) allowed_.too_few += each->figures->leased_units.value();
    allowed_.too_few += lost_with_a_link;
  }
  const auto silent_ns = random.between(second, 1200 * ms);
  if (time_ns < silent_ns) return;
  when.after(silent_ns, [this, who, starts = which.starts] {
    for (std::size_t other = 0; other < nodes_.size(); ++other)
      if (other != who && nodes_[who]->up && nodes_[who]->starts == starts) unlink(who, other);
  });
}

void cluster::stall(std::size_t a, std::size_t b, std::int64_t time_ns) {
  const int one = nodes_[a]->number, other = nodes_[b]->number;
  network_.stall(one, other, when.now_ns() + time_ns);
  network_.stall(other, one, when.now_ns() + time_ns);
}

std::size_t cluster::count_up() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(nodes_, [](const auto& each) { return each->up && !each->leaving; }));
}

// -- links ----------------------------------------------------------------------------------------

std::uint16_t cluster::number_in(const placement& places, const std::string& address) const {
  return static_cast<std::uint16_t>(std::ranges::find(places.members, address) -
                                    places.members.begin());
}

void cluster::on_placement(node& which, const placement_ptr& to) {
  which.places = to;
  spdlog::debug("{:.3f} {} takes view {}{}, its time is off by {:.3f} s",
                static_cast<double>(when.now_ns()) / 1e9, which.address, to->epoch,
                to->confirmed ? "" : ", not confirmed",
                static_cast<double>(which.time->base_ns.load() - real_ns) / 1e9);
  for (std::size_t other = 0; other < nodes_.size(); ++other) {
    if (static_cast<int>(other) == which.number) continue;
    const bool wanted = std::ranges::count(to->members, nodes_[other]->address) != 0;
    if (wanted && !which.linked[other]) link_soon(static_cast<std::size_t>(which.number), other);
  }
}

void cluster::link_soon(std::size_t a, std::size_t b) {
  when.after(random.between(5 * ms, 250 * ms), [this, a, b] { link(a, b); });
}

// Both know each other by then, or another try follows.
void cluster::link(std::size_t a, std::size_t b) {
  auto &one = *nodes_[a], &other = *nodes_[b];
  if (!one.up || one.linked[b]) return;
  const auto knows = [](const node& who, const node& whom) {
    return who.places && std::ranges::count(who.places->members, whom.address) != 0;
  };
  if (!knows(one, other)) return;
  if (!other.up || !knows(other, one) || !network_.can_link(one.number, other.number))
    return link_soon(a, b);
  network_.make_link(one.number, other.number);
  one.linked[b] = other.linked[a] = true;
  one.linked_ns[b] = other.linked_ns[a] = when.now_ns();
  tell_up(one, other);
  tell_up(other, one);
}

void cluster::tell_up(node& which, const node& peer) {
  peer_up update;
  update.member = number_in(*which.places, peer.address);
  update.limiters = {stand_in(network_.seen_from(which.number, peer.number, peer.limiter))};
  update.directory = stand_in(network_.seen_from(which.number, peer.number, peer.membership));
  update.accounts = stand_in(network_.seen_from(which.number, peer.number, peer.accounts.actor()));
  update.address = peer.address;
  if (which.log.is_on())
    update.replicas = stand_in(network_.seen_from(which.number, peer.number, peer.log.replicas()));
  tell_all(which, update);
}

void cluster::unlink(std::size_t a, std::size_t b) {
  auto &one = *nodes_[a], &other = *nodes_[b];
  network_.break_link(one.number, other.number);
  if (!one.linked[b]) return;
  one.linked[b] = other.linked[a] = false;
  const auto tell = [this](node& which, const node& peer) {
    if (!which.up) return;
    const peer_down update{number_in(*which.places, peer.address)};
    tell_all(which, update);
    link_soon(static_cast<std::size_t>(which.number), static_cast<std::size_t>(peer.number));
  };
  tell(one, other);
  tell(other, one);
}

void cluster::part(std::size_t a, std::size_t b) {
  const int one = nodes_[a]->number, other = nodes_[b]->number;
  is_parted_ = true;
  // What is under way between them is lost: units that were leased, and never heard of.
  allowed_.too_few += nodes_[a]->figures->leased_units.value() +
                      nodes_[b]->figures->leased_units.value() + lost_with_a_link;
  network_.cut(one, other);
  if (random.one_in(2)) network_.cut(other, one);
  // Silence is noticed after a second.
  when.after(random.between(second, 1200 * ms), [this, a, b, one, other] {
    if (!network_.can_link(one, other)) unlink(a, b);
  });
}

void cluster::lose_directory(bool wiped) {
  // Whoever is taken out when it is back may have a backup that does not know all.
  if (is_parted_) allowed_.is_bounded = false;
  store.go_away(wiped);
}

void cluster::heal() {
  is_parted_ = false;
  for (const auto& a : nodes_)
    for (const auto& b : nodes_)
      if (!network_.reaches(a->number, b->number)) {
        network_.heal(a->number, b->number);
        // What was lost meanwhile is lost: a stream with a hole in it is closed.
        unlink(static_cast<std::size_t>(a->number), static_cast<std::size_t>(b->number));
      }
}

// -- time, and clients ----------------------------------------------------------------------------

void cluster::pass(std::int64_t time_ns) {
  for (const auto end = when.now_ns() + time_ns; when.now_ns() < end;) {
    when.advance_to(when.now_ns() + step_ns);
    steady_now = when.now_ns();
    act();
    scheduler_.advance_time(std::chrono::nanoseconds{step_ns});
    act();
  }
}

void cluster::act() {
  scheduler_.run_jobs_filtered([this](const caf::resumable* job) {
    return std::ranges::none_of(nodes_, [&](const auto& each) {
      return each->paused_until_ns > when.now_ns() && each->acting.contains(job);
    });
  });
}

void cluster::send(std::size_t requests, std::size_t first, std::size_t clients) {
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (is_ready(i)) ready.push_back(i);
  for (std::size_t i = 0; i < requests && !ready.empty(); ++i) {
    const auto at = ready[static_cast<std::size_t>(
        random.between(0, static_cast<std::int64_t>(ready.size()) - 1))];
    const auto which = random.between(0, static_cast<std::int64_t>(clients) - 1);
    ask(*nodes_[at], first + static_cast<std::size_t>(which), 1);
    if (event_log_ && random.one_in(6)) nodes_[at]->log.send();
  }
}

void cluster::ask(node& at, std::size_t client, std::uint32_t units) {
  admit_item item;
  item.client = clients_[client];
  item.plan = plan_id(client < counts_.fast ? "fast" : is_long(client) ? "p" : "short");
  item.events = units;
  asked_[++tokens_] = client;
  caf::send_as(at.front_end, at.limiter, admit_request{tokens_, {item}, {}});
}

void cluster::on_reply(const admit_reply& reply) {
  const auto asked = asked_.find(reply.token);
  if (asked == asked_.end()) return;
  for (const auto& each : reply.verdicts) {
    if (each.reason == verdict::pending) continue;
    admitted_[asked->second] += each.granted;
    admitted_ns_[asked->second].insert(admitted_ns_[asked->second].end(), each.granted,
                                       when.now_ns());
    if (each.granted == 0 && each.reason == static_cast<std::uint8_t>(refusal::unreachable))
      ++unreachable_;
    if (asked->second >= counts_.fast && !is_long(asked->second))
      note_window(asked->second - counts_.fast, each);
    asked_.erase(asked);
    return;
  }
}

void cluster::note_window(std::size_t client, const verdict& told) {
  auto& of = windows_[client];
  spdlog::trace("{:.3f} client {} of a short window: {}, left {} for {} s",
                static_cast<double>(when.now_ns()) / 1e9, client,
                told.granted > 0 ? "taken" : "refused", told.remaining, told.reset_s);
  if (told.granted > 0)
    of.admitted(when.now_ns(), told.granted);
  else if (told.reason == static_cast<std::uint8_t>(refusal::quota))
    of.refused(when.now_ns(), told.reset_s * second);
  else
    of.unknown(when.now_ns());
}

void cluster::begin_windows_anew() {
  for (auto& each : windows_)
    each.begin_anew(when.now_ns());
}

std::vector<std::string> cluster::judge_windows() const {
  std::vector<std::string> wrong;
  const bool is_bounded = incomplete_moves() == 0 && allowed_.is_bounded && !has_lost_disk();
  for (std::size_t i = 0; i < windows_.size(); ++i)
    for (auto& each : windows_[i].judge(window_tolerance + allowed_.too_many, is_bounded))
      wrong.push_back(fmt::format("client {} of a short window {}", i, each));
  return wrong;
}

void cluster::change_accounts() {
  std::vector<std::size_t> up;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (is_up(i)) up.push_back(i);
  if (up.empty()) return;
  const auto at =
      up[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(up.size()) - 1))];
  people_.ask(at, nodes_[at]->accounts);
}

void cluster::exhaust() {
  for (int round = 0; round < 3; ++round)
    for (auto& each : nodes_) {
      if (!each->up || each->leaving) continue;
      for (std::size_t client = 0; client < clients_.size(); ++client)
        if (is_long(client)) ask(*each, client, limit_amount);
      pass(300 * ms);
    }
}

// -- what came of it ------------------------------------------------------------------------------

std::int64_t cluster::owned_shards() const {
  std::int64_t sum = 0;
  for (const auto& each : nodes_)
    if (each->up) sum += each->figures->owned_shards.value();
  return sum;
}

std::uint64_t cluster::incomplete_moves() const {
  auto sum = incomplete_of_gone_;
  for (const auto& each : nodes_)
    if (each->up && !each->leaving) sum += each->figures->moves_incomplete.value();
  return sum;
}

void cluster::allow_unknown_if_incomplete() {
  if (is_parted_ || owned_shards() != static_cast<std::int64_t>(shard_count))
    allowed_.is_bounded = false;
}

std::vector<std::string> cluster::judge_events() {
  if (!event_log_) return {};
  for (auto& each : nodes_)
    if (each->up) each->log.publish();
  return event_log_->judge();
}

std::vector<std::string> cluster::judge_accounts(bool all_stay) const {
  std::vector<const node_accounts*> up;
  for (const auto& each : nodes_)
    up.push_back(each->up ? &each->accounts : nullptr);
  return people_.judge(up, all_stay);
}

bool cluster::has_lost_disk() const {
  return std::ranges::any_of(nodes_,
                             [](const auto& each) { return !each->up && each->has_kept_shards; });
}

std::string cluster::describe() const {
  std::string out;
  for (const auto& each : nodes_)
    out += fmt::format("{}{} ", each->address, each->up ? (each->leaving ? "-" : "") : "!");
  return out + fmt::format("view {}, owned {}, incomplete {}, unreachable {}", store.view().epoch,
                           owned_shards(), incomplete_moves(), unreachable_);
}

} // namespace penstock::simulation
