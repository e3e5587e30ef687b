// Usage: one actor writes behind what front ends count, another answers reports beside it.
#pragma once

#include "actors/base/memory_budget.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/usage/usage_copying.hpp"
#include "actors/usage/usage_messages.hpp"
#include "actors/usage/usage_metrics.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// One transaction this often, over what arrived.
inline constexpr std::chrono::milliseconds usage_write_interval{1000};
/// Entries that wait while usage.db can't be written; later ones are given up and counted.
inline constexpr std::size_t max_pending_usage_entries = 400'000;
/// What such an entry takes, with its id.
inline constexpr std::uint64_t bytes_per_pending_usage = 384;
/// Rows deleted in one transaction, and transactions after each write: of the node's own, and as
/// many of all copies together.
inline constexpr std::size_t usage_trim_rows = 4096;
inline constexpr int max_usage_trims = 32;
/// A report that takes longer is given up.
inline constexpr std::chrono::seconds max_usage_report_time{600};

/// Greetings that are kept of nodes which are not linked yet.
inline constexpr std::size_t max_early_greetings = 256;

struct usage_parts {
  std::shared_ptr<usage_store> store;
  usage_retention keep;
  std::shared_ptr<usage_metrics> metrics;
  std::function<std::int64_t()> wall_ms; ///< milliseconds since the Unix epoch
  std::size_t max_pending_entries = max_pending_usage_entries;
  std::shared_ptr<memory_budget> pending; ///< is told what waits; may be null
  /// What other nodes counted; null: this node is alone, and hears of no peer.
  std::shared_ptr<usage_copies> copies{};
};

/// With its own reminder to write.
using usage_self = usage_handle::extend<caf::reacts_to<caf::tick_atom>>;

class usage_actor_state {
 public:
  static constexpr const char* name = "usage"; // CAF shows it
  using self_ptr = usage_self::stateful_pointer<usage_actor_state>;

  explicit usage_actor_state(self_ptr self) : self_(self) {}

  void start(usage_parts parts);
  void take(const usage_batch_ptr& batch);
  result<void> write();
  usage_written write_now(const usage_write& more);
  void trim();

  // -- other nodes --------------------------------------------------------------------------------

  void peer_came(const peer_up& peer);
  void peer_went(const peer_down& peer);
  void is_greeted(const usage_greeting& by, const usage_handle& sender);
  void take_copy(const usage_copy& theirs, const usage_handle& sender);
  void is_copied(const usage_copied& outcome);
  usage_sources sources();
  caf::result<usage_handed_over> hand_over();
  /// Sends what is to be sent, and answers a drain that waits for it.
  void send_copies();
  void show_copies();

 private:
  void note(const result<void>& outcome);
  void trim_copies();
  bool keep_copy(const usage_copy& theirs);

  self_ptr self_;
  usage_parts parts_;
  std::optional<usage_copying> copying_; // none: no other node
  std::map<std::uint16_t, usage_handle> peers_;
  std::map<caf::actor_addr, usage_greeting> early_greetings_; // of nodes that are linked soon
  std::optional<caf::response_promise> handing_over_;
  std::vector<usage_batch_ptr> pending_;
  std::size_t pending_entries_ = 0;
  std::string last_problem_;  // told once, not every second
  bool is_full_told_ = false; // that no further copy is taken
};

/// Runs where nothing else wants to; where the kernel does not have that, at the end of the queue.
/// Neither needs a privilege. For the thread of a detached actor.
void lower_thread_priority();

/// Takes usage_batch_ptr and usage_write; at `drain` writes what it has, answers drained and quits.
/// A crash of the process loses what came in the last usage_write_interval and what front ends
/// still held. It blocks on the disk: spawn it detached.
usage_self::behavior_type usage_actor(usage_self::stateful_pointer<usage_actor_state> self,
                                      usage_parts parts);

struct usage_reader_parts {
  std::shared_ptr<usage_reader> reader;
  std::string origin{}; ///< of what it reads
  /// Opens copies of other nodes' usage, by their origins; null: there are none.
  std::function<result<std::unique_ptr<usage_reader>>(const std::vector<std::string>&)>
      open_copies{};
  /// Set by another thread: the report under way is given up, and all that follow.
  std::shared_ptr<const std::atomic<bool>> stopping;
  bool yields = true; ///< run at the lowest priority; for an actor with a thread of its own
};

class usage_reader_state {
 public:
  static constexpr const char* name = "usage_reader";
  usage_reader_parts parts;
};

/// Answers usage_query_ptr with usage_answer_ptr and usage_part_question with usage_part, one after
/// the other; quits at `drain`. A report may read for minutes: spawn it detached.
usage_reader_handle::behavior_type
usage_reader_actor(usage_reader_handle::stateful_pointer<usage_reader_state> self,
                   usage_reader_parts parts);

} // namespace penstock
