// The actor that counts usage again from the journal, one request at a time, and what it tells of
// its work.
#pragma once

#include "actors/accounts/account_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/usage/usage_messages.hpp"
#include "actors/usage/usage_rebuild.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace penstock {

/// What was durable when a rebuild was asked for is counted after this: front ends hand over once
/// a second, and the usage actor writes once a second.
inline constexpr std::chrono::milliseconds usage_settle_time{3000};

/// Where a rebuild has got to; shared by the actor and the admin plane. Any thread.
class usage_rebuild_status {
 public:
  enum class phase : std::uint8_t { none, running, done, failed };
  struct update {
    phase at = phase::none;
    std::uint64_t done_bytes = 0;
    std::uint64_t all_bytes = 0; ///< 0: not known yet
    usage_rebuilt outcome;       ///< when done
    error why;                   ///< when failed
  };

  /// False while one is running.
  bool begin();
  void progress(std::uint64_t done_bytes, std::uint64_t all_bytes);
  void finish(result<usage_rebuilt> outcome);
  update read() const;

 private:
  mutable std::mutex mutex_;
  update update_;
};

struct usage_rebuilder_parts {
  std::filesystem::path data_dir; ///< of usage.db, read on a connection of its own
  std::shared_ptr<journal_reader> journal;
  std::shared_ptr<const segment_catalog> catalog;
  usage_handle usage;       ///< writes the corrections
  accounts_handle accounts; ///< knows the accounts
  name_hasher hash;
  bool is_cluster = false;
  std::int64_t begun_ms = 0; ///< see usage_store::begun_ms()
  std::shared_ptr<usage_rebuild_status> board;
  std::shared_ptr<const std::atomic<bool>> stopping; ///< true: give up
  std::size_t max_sums = max_rebuild_sums;
  bool yields = true; ///< run at the lowest priority; for an actor with a thread of its own
};

/// With its own reminder.
using usage_rebuilder_self = usage_rebuilder_handle::extend<caf::reacts_to<usage_settled>>;

class usage_rebuilder_state {
 public:
  static constexpr const char* name = "usage_rebuilder"; // CAF shows it
  using self_ptr = usage_rebuilder_self::stateful_pointer<usage_rebuilder_state>;

  explicit usage_rebuilder_state(self_ptr self) : self_{self} {}

  void start(usage_rebuilder_parts parts) { parts_ = std::move(parts); }
  void begin(const usage_rebuild_request& request);
  void settled();

 private:
  void compare();
  result<usage_rebuilt> run(std::vector<usage_batch_ptr>& corrections);
  void correct(usage_rebuilt outcome, std::vector<usage_batch_ptr> corrections);
  void fail(error why) { parts_.board->finish(std::move(why)); }

  self_ptr self_;
  usage_rebuilder_parts parts_;
  usage_rebuild_request request_;
  std::uint64_t up_to_seq_ = 0;
  account_names_ptr accounts_;
};

/// Takes usage_rebuild_request; whoever sends one has called board->begin() before, and reads there
/// what becomes of it. It blocks on the disk: spawn it detached.
usage_rebuilder_self::behavior_type
usage_rebuilder_actor(usage_rebuilder_self::stateful_pointer<usage_rebuilder_state> self,
                      usage_rebuilder_parts parts);

} // namespace penstock
