// Events of simulated nodes: the real journal actor, replicator and replica actor of each over real
// stores in memory, clients that send with ack = "replicated", and one sink for all that knows
// repeats by their ids.
#pragma once

#include "actors/cluster/link_messages.hpp"
#include "actors/journal/journal_actor.hpp"
#include "actors/replication/replica_actor.hpp"
#include "actors/replication/replicator.hpp"
#include "tests/simulation/events.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::simulation {

/// What is held of a node that is silent for so long is published.
inline constexpr std::chrono::milliseconds adopt_after_ms{4000};
/// After a node is gone, in so long what it had is on two others again.
inline constexpr std::int64_t passed_on_after_ns = 8 * second;

/// The sink, and what clients were promised. In a directory of its own in memory. Not synchronised.
class event_log {
 public:
  event_log();
  ~event_log();
  event_log(const event_log&) = delete;
  event_log& operator=(const event_log&) = delete;

  const std::filesystem::path& dir() const { return dir_; }
  std::uint64_t next_number() { return ++last_number_; }

  /// An event is at the sink, with what a client had sent: its number.
  void arrive(const std::string& id, std::string_view body);
  /// Its client was told that two nodes have it.
  void promise(std::uint64_t number, std::int64_t now_ns) { promised_[number] = now_ns; }
  /// A node is gone, and may take its disk with it.
  void node_went(std::size_t who, std::int64_t now_ns) { went_ns_[who].push_back(now_ns); }
  /// It is back, with that disk.
  void disk_is_back(std::size_t who) { went_ns_[who].pop_back(); }

  /// What is wrong, a sentence each.
  std::vector<std::string> judge() const;
  std::size_t promised() const { return promised_.size(); }

 private:
  std::vector<std::int64_t> lost_disks_ns() const;

  std::filesystem::path dir_;
  std::uint64_t last_number_ = 0;
  std::map<std::string, std::set<std::string>, std::less<>> arrived_; // ids, by body
  std::map<std::uint64_t, std::int64_t> promised_;                    // when, by number
  std::map<std::size_t, std::vector<std::int64_t>> went_ns_;          // and is not back, by node
};

/// Of one node. What is on its disk outlives a stop.
class node_events {
 public:
  struct tools {
    caf::actor_system* system = nullptr;
    events* when = nullptr;
    chance* random = nullptr;
    event_log* log = nullptr;
  };

  /// `with` outlives it.
  void start(const tools& with, std::size_t number, const std::string& address);
  /// Its process is gone.
  void stop();
  void lose_disk();
  bool is_on() const { return on_; }

  /// A client's next event.
  void send();
  /// What is durable, and the sink does not have yet, arrives there.
  void publish();

  const caf::actor& replicas() const { return replicas_; }
  const caf::actor& replicator() const { return replicator_; }
  std::vector<const caf::actor*> actors() const {
    return {&journal_, &replicator_, &replicas_, &client_, &adopter_};
  }

 private:
  std::filesystem::path dir() const;
  void start_journal();
  void start_replicas();
  void start_client();
  replica_adopted adopt(const adopt_replica& what) const;
  void deliver(journal_reader& from, const std::string& tag, std::uint64_t& after_seq) const;

  tools with_;
  bool on_ = false;
  std::size_t number_ = 0;
  std::uint64_t disk_ = 0; // another with each that is lost
  std::string address_;
  std::uint64_t published_seq_ = 0; // on the disk
  std::unique_ptr<node_state> state_;
  std::string tag_;
  std::unique_ptr<journal_reader> reader_;
  caf::actor journal_, replicator_, replicas_, client_, adopter_;
  std::map<std::uint64_t, std::uint64_t> sent_; // numbers, by sequence number
};

} // namespace penstock::simulation
