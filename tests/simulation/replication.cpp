#include "tests/simulation/replication.hpp"

#include "actors/base/lifecycle_messages.hpp"
#include "actors/delivery/delivery_messages.hpp"
#include "actors/interfaces/handles.hpp"
#include "storage/events/event_id.hpp"
#include "storage/journal/recovery.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <utility>

namespace penstock::simulation {
namespace {

constexpr const char* stream = "default";
constexpr const char* sink = "out";
constexpr std::size_t all_bytes = std::numeric_limits<std::size_t>::max();
constexpr std::uint64_t max_journal_bytes = 64u << 20;

template <class T>
T must(result<T> got) {
  if (!got) throw std::runtime_error(got.error().message);
  return std::move(*got);
}

/// What chance would draw, as a seed must repeat a run.
std::string tag_of(std::size_t node, std::uint64_t disk) {
  std::string tag(8, 'a');
  for (std::size_t i = 0; i < 3; ++i)
    tag[i] = static_cast<char>('a' + (i == 0 ? node : i == 1 ? disk : node * 7 + disk) % 26);
  return tag;
}

journal_options options_in(const std::filesystem::path& dir) {
  journal_options options;
  options.dir = dir;
  options.max_bytes = max_journal_bytes;
  options.segment_max_bytes = max_journal_bytes / 8;
  options.max_unjournaled_events = 100;
  options.preallocate = false;
  return options;
}

} // namespace

// -- the sink -------------------------------------------------------------------------------------

event_log::event_log() {
  const std::filesystem::path memory = "/dev/shm";
  const auto under =
      std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
  std::string name = (under / "penstock-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr)
    throw std::runtime_error("no directory in " + under.string());
  dir_ = name;
}

event_log::~event_log() {
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void event_log::arrive(const std::string& id, std::string_view body) {
  arrived_[std::string{body}].insert(id);
}

std::vector<std::int64_t> event_log::lost_disks_ns() const {
  std::vector<std::int64_t> all;
  for (const auto& [who, times] : went_ns_)
    all.insert(all.end(), times.begin(), times.end());
  std::ranges::sort(all);
  return all;
}

// Two disks that are lost in the time that it takes to have all on two again are more than was
// promised, of what was promised before the second.
std::vector<std::string> event_log::judge() const {
  const auto lost_ns = lost_disks_ns();
  std::int64_t may_be_lost_until_ns = 0;
  for (std::size_t i = 1; i < lost_ns.size(); ++i)
    if (lost_ns[i] - lost_ns[i - 1] < passed_on_after_ns) may_be_lost_until_ns = lost_ns[i];
  std::vector<std::string> wrong;
  std::size_t missing = 0;
  for (const auto& [number, at_ns] : promised_)
    if (at_ns > may_be_lost_until_ns && !arrived_.contains(std::to_string(number))) {
      spdlog::error("event {}, promised at {:.3f}, is lost", number,
                    static_cast<double>(at_ns) / 1e9);
      ++missing;
    }
  if (missing > 0)
    wrong.push_back(fmt::format("{} of {} events that two nodes had did not arrive", missing,
                                promised_.size()));
  for (const auto& [body, ids] : arrived_)
    if (ids.size() > 1)
      wrong.push_back(fmt::format("event {} arrived under {} ids", body, ids.size()));
  return wrong;
}

// -- a node ---------------------------------------------------------------------------------------

std::filesystem::path node_events::dir() const {
  return with_.log->dir() / fmt::format("{}-{}", address_, disk_);
}

void node_events::start(const tools& with, std::size_t number, const std::string& address) {
  with_ = with;
  number_ = number;
  address_ = address;
  on_ = true;
  state_ = std::make_unique<node_state>();
  std::filesystem::create_directories(dir());
  if (!std::filesystem::exists(dir() / tag_file_name))
    std::ofstream{dir() / tag_file_name} << tag_of(number_, disk_);
  start_client();
  start_replicas();
  start_journal();
}

void node_events::start_journal() {
  std::shared_ptr<journal> store = must(journal::open(options_in(dir())));
  tag_ = state_->tag = store->tag();
  state_->next_ticket = store->next_seq();
  reader_ = journal_reader::make(store->catalog());
  auto origin = std::make_shared<replicator_parts>();
  origin->tag = tag_;
  origin->node = address_;
  origin->catalog = store->catalog();
  origin->reader = journal_reader::make(store->catalog());
  origin->metrics = std::make_shared<replicator_metrics>();
  replicator_ = plain_actor(with_.system->spawn(penstock::replicator, std::move(origin)));
  journal_actor_settings settings;
  settings.recent_bytes = 1u << 16;
  settings.is_fetched = [](const std::string&) { return false; };
  settings.replicator = stand_in(replicator_);
  journal_ = plain_actor(with_.system->spawn(journal_actor, std::move(store), settings,
                                             state_.get(), std::make_shared<journal_metrics>()));
  replicated_streams all;
  all.wanted = [](const std::string&) { return true; };
  all.sinks = {sink};
  caf::anon_send(journal_, std::move(all));
  caf::anon_send(replicator_, confirmed_up_to{published_seq_, sink});
}

void node_events::start_replicas() {
  adopter_ = with_.system->spawn([this](caf::event_based_actor*) -> caf::behavior {
    return {[this](const adopt_replica& what) { return adopt(what); }};
  });
  replica_options options;
  options.dir = dir();
  options.max_bytes = max_journal_bytes;
  options.segment_max_bytes = max_journal_bytes / 8;
  options.preallocate = false;
  replica_parts holder;
  holder.store = must(replica_store::open(options));
  holder.adopt_after_ms = adopt_after_ms;
  holder.adopter = stand_in(adopter_);
  holder.metrics = std::make_shared<replica_metrics>();
  holder.tag = tag_of(number_, disk_);
  replicas_ = plain_actor(with_.system->spawn(replica_actor, std::move(holder)));
}

// As a front end does: first durable here, then on another node, then answered.
void node_events::start_client() {
  sent_.clear();
  client_ = with_.system->spawn([this](caf::event_based_actor* self) -> caf::behavior {
    return {[this, self](const append_done& done) {
              if (!done.ok) return;
              await_published wait;
              wait.stream = stream;
              wait.timeout_ms = std::chrono::seconds{5};
              wait.front_end = stand_in(self);
              for (const auto seq : done.tokens)
                wait.items.push_back({seq, 7, seq, seq});
              caf::anon_send(
                  replicator_,
                  await_published_ptr{std::make_shared<const await_published>(std::move(wait))});
            },
            [this](const published_update& update) {
              for (const auto& each : update.items)
                if (each.published) {
                  spdlog::trace("{:.3f} event {} is promised as {} of {}",
                                static_cast<double>(with_.when->now_ns()) / 1e9,
                                sent_.at(each.token), each.token, address_);
                  with_.log->promise(sent_.at(each.token), with_.when->now_ns());
                }
            }};
  });
}

void node_events::stop() {
  on_ = false;
  for (const auto* each : actors())
    caf::anon_send_exit(*each, caf::exit_reason::kill);
  reader_.reset();
}

void node_events::lose_disk() {
  ++disk_;
  published_seq_ = 0;
}

void node_events::send() {
  const auto number = with_.log->next_number();
  auto batch = std::make_shared<append_batch>();
  batch->first_ticket = state_->next_ticket.fetch_add(1);
  batch->events = 1;
  batch->token = batch->first_ticket;
  batch->front_end = stand_in(client_);
  auto block = std::make_shared<event_block>();
  block->first_seq = batch->first_ticket;
  block->time_ms = with_.when->now_ns() / ms;
  block->stream = stream;
  block->push(std::to_string(number), "text/plain", 7);
  batch->blocks.push_back(std::move(block));
  sent_[batch->first_ticket] = number;
  caf::anon_send(journal_, append_batch_ptr{std::move(batch)});
}

// -- publishing -----------------------------------------------------------------------------------

void node_events::deliver(journal_reader& from, const std::string& tag,
                          std::uint64_t& after_seq) const {
  for (const auto& block : must(from.read(stream, after_seq, all_bytes)))
    for (std::size_t i = 0; i < block->size(); ++i) {
      const auto seq = block->first_seq + i;
      if (seq > after_seq) with_.log->arrive(event_id(seq, tag), block->body(i));
      after_seq = std::max(after_seq, seq);
    }
  from.release();
}

void node_events::publish() {
  if (!on_) return;
  deliver(*reader_, tag_, published_seq_);
  caf::anon_send(replicator_, confirmed_up_to{published_seq_, sink});
}

replica_adopted node_events::adopt(const adopt_replica& what) const {
  replica_adopted out{.tag = what.tag, .node = what.node};
  const auto held = replica_dir(dir(), what.tag);
  auto opened = journal::open(options_in(held / "journal"));
  if (!opened) {
    out.why = opened.error().message;
    return out;
  }
  const auto reader = journal_reader::make((*opened)->catalog());
  const auto forgotten_seq = forgotten_in(held);
  auto after_seq = forgotten_seq;
  deliver(*reader, what.tag, after_seq);
  spdlog::debug("{:.3f} {} publishes what {} owed, from {} to {}",
                static_cast<double>(with_.when->now_ns()) / 1e9, address_, what.node,
                forgotten_seq + 1, after_seq);
  out.is_done = out.is_empty = true;
  return out;
}

} // namespace penstock::simulation
