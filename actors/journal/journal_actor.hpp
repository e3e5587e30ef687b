// The actor that makes accepted events durable: it commits what all front ends sent, in groups.
#pragma once

#include "actors/base/extension_messages.hpp"
#include "actors/base/memory_budget.hpp"
#include "actors/base/node_state.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/journal/journal_metrics.hpp"
#include "actors/journal/row_fetches.hpp"
#include "actors/journal/stream_space.hpp"
#include "storage/journal/journal.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

struct journal_actor_settings {
  std::size_t recent_bytes = 64u << 20;
  std::shared_ptr<memory_budget> recent{}; ///< is told what they take; may be null
  std::chrono::milliseconds received_delay_ms{10};
  std::uint64_t max_bytes = 0; ///< the journal's cap, for the log
  /// Expendable streams are refused from the first on, until the second is reached again.
  std::uint64_t scarce_above_bytes = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t scarce_until_bytes = std::numeric_limits<std::uint64_t>::max();
  /// Whether anyone will fetch this stream's events; those of others are not kept in memory.
  std::function<bool(const std::string& stream)> is_fetched;
  /// Is sent the rows of replicated streams that are durable; null: none are. Which streams that
  /// are is told by replicated_streams.
  replicator_handle replicator{};
  /// How much a stream may hold; null: as much as there is room for.
  stream_rules space_rule{};
  std::uint64_t unconfigured_max_bytes =
      0; ///< of streams that are not configured, together; 0: no bound
};

/// A group is committed when it reaches either, whatever still waits in the mailbox.
inline constexpr std::size_t max_group_events = 65'536;
inline constexpr std::size_t max_group_bytes = 16u << 20;
/// Blocks of a group that follow each other in one stream become one row up to this size: a row
/// costs about as much as ten events in it.
inline constexpr std::size_t max_row_events = 4096;
inline constexpr std::size_t max_row_bytes = 1u << 20;
/// While the journal can't take more, or not from all, this often it looks whether it can again.
inline constexpr std::chrono::milliseconds full_check_interval{200};

/// So often it looks whether its files are where they were; and at most so long a node is not ready
/// after a write that failed.
inline constexpr std::chrono::milliseconds place_check_interval{500};

/// With its own timers.
using journal_self =
    journal_handle::extend<caf::reacts_to<full_check>, caf::reacts_to<place_check>>;

/// Group commit: batches are written into the open transaction as they come; the first that someone
/// waits for makes the actor send itself commit_due, which arrives behind everything that was in
/// the mailbox before it. While the disk works, the next group gathers in the mailbox. Batches are
/// committed in the order of their tickets: one that overtook another is held until the gap fills.
class journal_state {
 public:
  static constexpr const char* name = "journal"; // CAF shows it
  using self_ptr = journal_self::stateful_pointer<journal_state>;

  explicit journal_state(self_ptr self) : self_(self) {}

  void start(std::shared_ptr<journal> store, journal_actor_settings settings, node_state* node,
             std::shared_ptr<journal_metrics> metrics);

  void take(const append_batch_ptr& batch);
  void commit();
  void replicate(replicated_streams which);
  void look_again();
  void check_place();
  void subscribe(const subscribe_rows& command);
  void close();

  /// Once started: what publishers fetch, and what streams may hold.
  row_fetches& fetches() { return *fetches_; }
  stream_space& space() { return *space_; }

 private:
  void stage(const append_batch_ptr& batch);
  bool follows_row(const event_block& block) const;
  void gather(const block_ptr& block);
  bool write_row();
  void fail_staged(const error& why);
  void tell(const std::vector<append_batch_ptr>& batches, const append_done& outcome);
  void send_to_replicator();
  void tell_subscribers();
  void refuse_more(const error& why);
  void check_full();
  void check_scarce();
  void look_again_soon();
  void set_failed(bool failed);
  void note_commit(std::size_t events, std::size_t bytes);

  self_ptr self_;
  std::shared_ptr<journal> store_;
  journal_actor_settings settings_;
  node_state* node_ = nullptr;
  std::shared_ptr<journal_metrics> metrics_;

  std::uint64_t next_ticket_ = 0;                      // the batch to stage next starts here
  std::map<std::uint64_t, append_batch_ptr> overtook_; // came before their turn
  std::vector<append_batch_ptr> staged_;               // in the open transaction
  block_ptr row_;                                      // gathers blocks, not yet written
  std::vector<block_ptr> rows_;                        // written since the last commit
  std::size_t staged_events_ = 0;
  std::size_t staged_bytes_ = 0;
  bool commit_sent_ = false;
  bool delayed_commit_sent_ = false;
  bool look_sent_ = false;
  bool is_lost_ = false; // what is written would not be there after a restart

  std::optional<row_fetches> fetches_;
  std::function<bool(const std::string&)> is_replicated_; // empty: no stream is
  feed<durable_rows> rows_told_;                          // to extensions
  std::optional<stream_space> space_;
};

/// Takes append_batch_ptr (answered with append_done to the batch's front end), fetch_request
/// (answered with fetch_reply), watch_streams, forget_stream, replicated_streams, watch_space,
/// subscribe_rows, sink_backlog_ptr, space_rules_changed and drain (commits, closes the journal,
/// answers drained and quits). It blocks on the disk: spawn it detached. `store` is open; `node`
/// outlives it.
journal_self::behavior_type journal_actor(journal_self::stateful_pointer<journal_state> self,
                                          std::shared_ptr<journal> store,
                                          journal_actor_settings settings, node_state* node,
                                          std::shared_ptr<journal_metrics> metrics);

} // namespace penstock
