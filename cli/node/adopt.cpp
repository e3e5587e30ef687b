#include "cli/node/adopt.hpp"

#include "actors/base/lifecycle_messages.hpp"
#include "actors/dead_letters/dead_letters_actor.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "actors/journal/journal_actor.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/journal/journal_metrics.hpp"
#include "actors/retention/backlog.hpp"
#include "actors/system_config.hpp"
#include "cli/node/node_core.hpp"
#include "cli/node/outgoing.hpp"
#include "net/base/wall_time.hpp"
#include "storage/base/node_name.hpp"
#include "storage/journal/replica_store.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using adopt_clock = std::chrono::steady_clock;

constexpr auto adopt_look_interval = 100ms;
// How long an actor gets to end; a publisher asks its sink to give up after publisher_drain_time.
constexpr auto adopt_drain_time = 20s;

/// A sink, and what it is owed.
struct route {
  std::string sink;
  sink_settings settings;
  std::function<bool(const std::string&)> feeds;
  bool is_queue = false;
  bool is_left_out = false; // the queue, where nobody is to get its events
  outgoing_sink out{};
  std::uint64_t confirmed = 0;
};

/// An adoption may run beside a node's own publishers, on the same memory.
constexpr std::uint64_t adoption_budget_divisor = 4;

/// The living node as a sink.
sink_settings living_node(const adopt_request& request) {
  sink_settings to;
  to.kind = "http";
  std::string url = request.to;
  while (url.ends_with('/'))
    url.pop_back();
  to.values["url"] = url + "/v1/events/{stream}";
  // It carries ids, and is known again when it comes twice.
  to.values["format"] = "cloudevents-batch";
  if (!request.to_key.empty())
    to.values["headers"] = text_pairs{{"Authorization", "Bearer " + request.to_key}};
  return to;
}

result<void> check_directory_of_node(const fs::path& dir) {
  std::error_code fault;
  if (fs::is_regular_file(dir / "journal" / "tag", fault)) return {};
  std::string hint = "give the dead node's node.data_dir, which has journal/ in it";
  if (fs::is_regular_file(dir / "tag", fault))
    hint = "it is the journal itself, give " + dir.parent_path().string();
  return error{errc::invalid, dir.string() + " is no data directory of a node: " + hint};
}

class adoption {
 public:
  adoption(const config& settings, const adopt_request& request)
      : settings_{settings}, wanted_{request}, system_{system_settings_} {}
  ~adoption() { end(); }

  result<void> open();
  result<void> count();
  result<void> publish(const std::atomic<bool>& interrupted,
                       const std::function<void(const progress&)>& show);
  adopt_report take_report() { return std::move(report_); }

 private:
  result<void> load_cursors();
  result<std::vector<cursor>> with_told(std::vector<cursor> saved);
  void plan_routes();
  result<void> check_queue() const;
  result<event_volume> backlog(const route& to, const std::string& stream,
                               std::vector<std::string>* damage);
  bool is_in_backlog(const route& to) const;
  result<void> start();
  bool look(stall_watch& watch, std::int64_t now_ms);
  std::uint64_t settled() const;
  std::string complaint() const;
  result<void> settle();
  void ask_to_drain(const drainable_handle& who);
  void end();

  config settings_;
  adopt_request wanted_;
  system_config system_settings_{1};
  caf::actor_system system_;
  node_state state_;
  adopt_report report_;
  std::shared_ptr<journal> journal_;
  std::shared_ptr<cursor_store> cursors_;
  std::shared_ptr<dead_letter_store> letters_;
  std::unique_ptr<journal_reader> reader_;
  std::vector<cursor> saved_; // with the queue's as a publisher has them
  std::vector<route> routes_;
  journal_handle journal_actor_;
  dead_letters_handle dead_letters_;
};

// -- what there is --------------------------------------------------------------------------------

result<void> adoption::open() {
  std::error_code fault;
  const auto dir = fs::absolute(wanted_.dir, fault).lexically_normal();
  if (auto checked = check_directory_of_node(dir); !checked) return checked;
  journal_options options;
  options.dir = dir / "journal";
  options.max_bytes = settings_.journal.max_size_bytes;
  options.segment_max_bytes = settings_.journal.segment_size_bytes;
  options.preallocate = false; // nothing will be written
  recovery_report recovered;
  auto opened = journal::open(options, &recovered);
  if (wanted_.damaged) *wanted_.damaged = recovered.damaged;
  if (!opened && opened.error().code == errc::locked)
    return error{errc::locked, dir.string() + " is in use: a node runs on it, or another adopt. "
                                              "Only a node that is gone can be adopted"};
  if (!opened) return opened.error();
  for (const auto& sentence : recovered.torn)
    spdlog::warn("journal: {}", sentence);
  journal_ = std::move(*opened);
  reader_ = journal_reader::make(journal_->catalog());
  store_report stores;
  auto cursors = cursor_store::open(dir, default_cursor_reserve_bytes, {}, &stores);
  if (!cursors) return cursors.error();
  cursors_ = std::move(*cursors);
  auto letters = dead_letter_store::open(dir, settings_.dead_letters_max_bytes, {}, &stores);
  if (!letters) return letters.error();
  for (const auto& sentence : stores.torn)
    spdlog::warn("stores: {}", sentence);
  letters_ = std::move(*letters);
  const auto tallies = letters_->tallies();
  if (!tallies) return tallies.error();
  for (const auto& tally : *tallies)
    report_.dead_letters += tally.letters;
  report_.directory = dir.string();
  // Under its name sinks know its events again: see sinks.NAME.source.
  report_.node = kept_node_name(dir);
  if (report_.node.empty()) report_.node = settings_.node_name;
  report_.tag = journal_->tag();
  report_.dry_run = wanted_.dry_run;
  report_.without_queue = wanted_.without_queue;
  report_.damaged = std::move(recovered.damaged);
  report_.damaged.insert(report_.damaged.end(), stores.damaged.begin(), stores.damaged.end());
  plan_routes();
  return load_cursors();
}

result<void> adoption::load_cursors() {
  auto saved = cursors_->load(&report_.damaged);
  if (saved) saved = with_told(std::move(*saved));
  if (!saved) return saved.error();
  saved_ = with_queue_as_lane(std::move(*saved), queue_name(settings_));
  // Of a replica: what its origin had published when it lived.
  if (const auto forgotten = forgotten_in(report_.directory, &report_.damaged); forgotten > 0)
    for (const auto& to : routes_)
      for (const auto& stream : journal_->catalog()->streams())
        saved_.push_back({stream, lane_cursor_name(to.sink, 0, 1), forgotten, {}});
  return {};
}

// As positions of publishers with one lane: what counts is how far any life of them came. One that
// an earlier attempt has brought further stays.
result<std::vector<cursor>> adoption::with_told(std::vector<cursor> saved) {
  if (!wanted_.told) return saved;
  std::map<std::pair<std::string, std::string>, std::uint64_t> reached;
  for (const auto& one : saved)
    reached[{one.stream, one.sink}] = one.seq;
  std::vector<cursor> told;
  for (const auto& to : routes_)
    for (const auto& stream : journal_->catalog()->streams()) {
      const auto& its = wanted_.told->delivered(stream);
      cursor one{stream, lane_cursor_name(to.sink, 0, 1), its.floor, its.beyond};
      const auto before = reached.find({one.stream, one.sink});
      if (before == reached.end() || before->second < one.seq) told.push_back(std::move(one));
    }
  if (auto kept = cursors_->save(told); !kept) return kept.error();
  saved.insert(saved.end(), told.begin(), told.end());
  return saved;
}

void adoption::plan_routes() {
  const auto queue = queue_name(settings_);
  for (const auto& name : fed_sinks(settings_)) {
    route to{.sink = name, .settings = settings_.sinks.at(name), .feeds = feeds(settings_, name)};
    to.is_queue = name == queue;
    if (to.is_queue && !wanted_.to.empty())
      to.settings = living_node(wanted_);
    else
      to.is_left_out = to.is_queue;
    routes_.push_back(std::move(to));
  }
}

result<event_volume> adoption::backlog(const route& to, const std::string& stream,
                                       std::vector<std::string>* damage) {
  return count_backlog(*reader_, stream, delivered_before{saved_, to.sink, stream}, damage);
}

result<void> adoption::count() {
  for (const auto& to : routes_) {
    for (const auto& stream : journal_->catalog()->streams()) {
      if (!to.feeds(stream)) continue;
      // Of one row the sentence is the same, whoever reads it.
      std::vector<std::string> damage;
      const auto volume = backlog(to, stream, &damage);
      if (!volume) return volume.error();
      for (auto& sentence : damage)
        if (std::find(report_.damaged.begin(), report_.damaged.end(), sentence) ==
            report_.damaged.end())
          report_.damaged.push_back(std::move(sentence));
      if (volume->events == 0) continue;
      report_.streams.push_back(
          {to.sink, to.is_queue ? "embedded" : to.settings.kind, stream, *volume, volume->events});
    }
  }
  reader_->release();
  return wanted_.dry_run ? result<void>{} : check_queue();
}

result<void> adoption::check_queue() const {
  if (!wanted_.to.empty() || wanted_.without_queue) return {};
  std::string streams;
  std::uint64_t events = 0;
  for (const auto& one : report_.streams) {
    if (one.kind != "embedded") continue;
    streams += (streams.empty() ? "" : ", ") + one.stream;
    events += one.backlog.events;
  }
  if (events == 0) return {};
  return error{
      errc::invalid,
      fmt::format("the embedded queue still owes its consumers {} events of: {}. Hand them "
                  "to a node that lives with --to http://HOST:PORT, or leave them with "
                  "--without-queue. Nothing was published",
                  events, streams)};
}

bool adoption::is_in_backlog(const route& to) const {
  return !to.is_left_out && std::any_of(report_.streams.begin(), report_.streams.end(),
                                        [&](const auto& one) { return one.sink == to.sink; });
}

// -- publishing -----------------------------------------------------------------------------------

result<void> adoption::start() {
  std::erase_if(routes_, [this](const route& to) { return !is_in_backlog(to); });
  for (auto& to : routes_) {
    auto made = make_outgoing_sink(to.sink, to.settings, report_.node);
    if (!made) return made.error();
    to.out = std::move(*made);
  }
  state_.tag = journal_->tag();
  state_.next_ticket.store(journal_->next_seq());
  journal_actor_settings settings;
  settings.max_bytes = settings_.journal.max_size_bytes;
  settings.is_fetched = [](const std::string&) { return true; };
  journal_actor_ = system_.spawn<caf::detached>(journal_actor, journal_, std::move(settings),
                                                &state_, std::make_shared<journal_metrics>());
  // Retries that were under way stay: it never hears of publishers.
  dead_letters_ = system_.spawn<caf::detached>(
      dead_letters_actor,
      dead_letters_parts{letters_, {}, std::make_shared<dead_letter_metrics>(), wall_ms});
  return {};
}

std::uint64_t adoption::settled() const {
  std::uint64_t sum = 0;
  for (const auto& to : routes_)
    sum += to.out.metrics->delivered.value() + to.out.metrics->refused.value();
  return sum;
}

/// The first sink's that is in trouble.
std::string adoption::complaint() const {
  for (const auto& to : routes_)
    if (const auto status = to.out.metrics->status(); status.state == sink_state::open)
      return to.sink + ": " + status.last_error;
  return {};
}

/// True while some sink is worth waiting for.
bool adoption::look(stall_watch& watch, std::int64_t now_ms) {
  report_.stalled.clear();
  std::size_t open = 0;
  for (const auto& to : routes_) {
    const auto& counts = *to.out.metrics;
    watch.note(to.sink, counts.delivered.value() + counts.refused.value(), now_ms);
    if (to.confirmed >= journal_->catalog()->durable_seq()) continue;
    ++open;
    if (watch.has_stalled(to.sink, now_ms)) report_.stalled[to.sink] = counts.status().last_error;
  }
  return report_.stalled.size() < open;
}

result<void> adoption::publish(const std::atomic<bool>& interrupted,
                               const std::function<void(const progress&)>& show) {
  if (auto started = start(); !started) return started;
  if (routes_.empty()) return {};
  std::uint64_t total = 0;
  for (const auto& one : report_.streams)
    if (one.kind != "embedded" || !wanted_.to.empty()) total += one.backlog.events;
  // Publishers tell the keeper what their sinks have confirmed, when that is durable.
  caf::scoped_actor keeper{system_};
  const publisher_base base{
      *journal_,
      cursors_,
      journal_actor_,
      // CAF has no typed handle of an actor that blocks.
      caf::actor_cast<confirmations_handle>(keeper),
      dead_letters_,
      {},
      std::make_shared<memory_budget>(settings_.memory.delivery_bytes / adoption_budget_divisor),
      settings_.memory.max_batch_bytes};
  for (auto& to : routes_)
    start_publisher(system_, to.sink, to.settings, to.feeds, saved_, base, to.out);
  stall_watch watch{wanted_.patience_ms};
  const auto begun = adopt_clock::now();
  for (;;) {
    keeper->receive(
        [&](const confirmed_up_to& update) {
          for (auto& to : routes_)
            if (to.sink == update.sink) to.confirmed = std::max(to.confirmed, update.seq);
        },
        caf::after(adopt_look_interval) >> [] {});
    const auto elapsed = adopt_clock::now() - begun;
    const auto now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count();
    if (!look(watch, now_ms)) break;
    report_.interrupted = interrupted;
    if (report_.interrupted) break;
    const auto done = std::min(settled(), total);
    show({"adopt", done, total, std::chrono::duration<double>(elapsed).count(), done, complaint()});
  }
  for (auto& to : routes_)
    ask_to_drain(to.out.publisher);
  return settle();
}

/// What is left, by the cursors that were saved. A queue that went elsewhere is confirmed up to the
/// end: a node on this directory would not hand it out again.
result<void> adoption::settle() {
  const auto durable = journal_->catalog()->durable_seq();
  std::vector<cursor> through;
  for (const auto& to : routes_) {
    report_.refused += to.out.metrics->refused.value();
    if (!to.is_queue || to.confirmed < durable) continue;
    for (const auto& one : report_.streams)
      if (one.sink == to.sink) through.push_back({one.stream, to.sink, durable, {}});
  }
  if (!through.empty())
    if (auto saved = cursors_->save(through); !saved) return saved;
  if (auto loaded = load_cursors(); !loaded) return loaded;
  for (auto& one : report_.streams)
    for (const auto& to : routes_) {
      if (to.sink != one.sink) continue;
      const auto left = backlog(to, one.stream, nullptr);
      if (!left) return left.error();
      one.left = left->events;
    }
  reader_->release();
  return {};
}

// -- the end --------------------------------------------------------------------------------------

void adoption::ask_to_drain(const drainable_handle& who) {
  if (!who) return;
  caf::scoped_actor self{system_};
  self->request(who, adopt_drain_time, drain{}).receive([](drained) {}, [](caf::error&) {});
}

void adoption::end() {
  for (auto& to : routes_) {
    if (to.out.to) to.out.to->stop();
    end_actor(to.out.publisher);
  }
  ask_to_drain(dead_letters_);
  end_actor(dead_letters_);
  ask_to_drain(journal_actor_);
  end_actor(journal_actor_);
}

} // namespace

result<adopt_report> adopt(const config& settings, const adopt_request& request,
                           const std::atomic<bool>& interrupted,
                           const std::function<void(const progress&)>& show) {
  adoption work{settings, request};
  if (auto opened = work.open(); !opened) return opened.error();
  if (auto counted = work.count(); !counted) return counted.error();
  if (!request.dry_run)
    if (auto published = work.publish(interrupted, show); !published) return published.error();
  return work.take_report();
}

} // namespace penstock
