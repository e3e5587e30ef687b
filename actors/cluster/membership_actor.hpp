// The actor that keeps this node in the cluster, and knows who else is.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/base/node_state.hpp"
#include "actors/base/wall_clock.hpp"
#include "actors/cluster/cluster_clock.hpp"
#include "actors/cluster/directory_schedule.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/member_numbers.hpp"
#include "actors/cluster/membership.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/directory/directory_messages.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// How often it looks what there is to do.
inline constexpr std::chrono::milliseconds membership_tick{50};
/// Who joins waits so long to hear a member's time, and goes by its own if it hears none: all of
/// the view may be dead.
inline constexpr std::int64_t time_patience_ns = 1'000'000'000;
/// A difference of clocks that is worth a line in the log.
inline constexpr std::int64_t told_clock_difference_ns = 1'000'000'000;

struct alignas(64) membership_metrics {
  gauge members;
  gauge epoch;
  gauge clock_ahead_ms; ///< this node's system clock, of the time that limits go by
  gauge directory_up;   ///< 1 while renewals are stored
  counter renewals;
  counter failed_renewals;
  counter proposals; ///< views proposed by this node
  counter views;     ///< views taken
  counter forgotten; ///< records of dead nodes taken out of the directory
  counter consents;  ///< answers of peers that are away from the directory too
};

/// What people are shown of the cluster, written by the actor and read by the admin plane.
class membership_status {
 public:
  struct member {
    member_record record;
    std::uint16_t owned_shards = 0;
    bool in_view = false;
    double heard_s_ago = 0;
  };
  struct state {
    std::uint64_t epoch = 0;
    bool directory_up = false;
    std::vector<member> members;
  };
  void set(state now) {
    const std::lock_guard lock{mutex_};
    state_ = std::move(now);
  }
  state get() const {
    const std::lock_guard lock{mutex_};
    return state_;
  }

 private:
  mutable std::mutex mutex_;
  state state_;
};

struct membership_parts {
  member_record self; ///< its figures are brought up to date by `figures`
  std::function<void(member_record&)> figures;
  std::function<std::uint64_t()> settled_epoch; ///< see member_record; any thread
  membership_times times{};
  std::function<std::int64_t()> steady_ns; ///< runs on while the process is stopped
  std::function<std::int64_t()> system_ns; ///< since the Unix epoch
  std::shared_ptr<cluster_time> time;      ///< kept; null: nobody asks
  std::shared_ptr<std::atomic<std::int64_t>> decides_until_ns;
  std::atomic<cluster_standing>* standing = nullptr; ///< null: nobody asks; outlives the actor
  std::vector<placement_listener_handle> placed;     ///< are told placement_changed
  std::vector<limiter_handle> limiters;              ///< are told member_epoch
  std::shared_ptr<membership_metrics> metrics;
  std::shared_ptr<membership_status> board;
};

/// With its own tick.
using membership_self = membership_handle::extend<caf::reacts_to<caf::tick_atom>>;

class membership_state {
 public:
  static constexpr const char* name = "membership"; // CAF shows it
  using self_ptr = membership_self::stateful_pointer<membership_state>;

  explicit membership_state(self_ptr self) : self_(self) {}

  void start(membership_parts parts);
  void work_with(const membership_partners& partners) {
    writer_ = partners.writer;
    parts_.placed.push_back(partners.links);
  }
  void on_update(const directory_update& update);
  void on_done(const directory_done& done);
  void on_peer_up(const peer_up& peer);
  void on_peer_down(const peer_down& peer);
  away_answer answer(const away_question& question);
  void await_join(caf::response_promise joined);
  void begin_to_leave(bool now, caf::response_promise left);
  void tick();
  std::chrono::nanoseconds interval() const { return membership_tick; }

 private:
  /// Of what the log tells once.
  struct told_once {
    bool clock = false;
    bool full = false;
    bool is_stranger = false;
    std::map<std::string, std::string> strangers; // address → incarnation; bounded as members are
  };

  void ask(directory_request request);
  void renew(std::int64_t now_ns);
  void propose(std::int64_t now_ns);
  void forget(std::int64_t now_ns);
  void on_forgotten(const directory_done& done);
  void ask_peers(std::int64_t now_ns);
  std::vector<std::string> addresses() const;
  std::vector<std::string> same_processes() const;
  void keep_time(std::int64_t now_ns);
  bool may_ask_in(std::int64_t now_ns) const;
  void tell_stranger(const member_record& heard, std::int64_t now_ns);
  void take_view();
  void place_shards_now();
  cluster_standing standing(std::int64_t now_ns) const;
  void show(std::int64_t now_ns);

  self_ptr self_;
  membership_parts parts_;
  std::optional<membership> members_;
  directory_writer_handle writer_;
  member_numbers numbers_;
  directory_schedule schedule_;
  std::map<std::uint16_t, membership_handle> peers_;
  placement_ptr places_;
  bool watching_ = false;
  bool was_in_ = false;
  bool had_shards_ = false; // since it is in
  std::optional<cluster_clock> clock_;
  std::int64_t watching_ns_ = 0; // since then
  bool has_time_ = false;        // that of the members, before it is one
  told_once told_;
  caf::response_promise left_, joined_;
  bool gone_ = false;
};

/// Renews this node's record, proposes views, tells of placements and keeps decides_until_ns, for
/// as long as it runs. Takes what the writer sends, peer_up and peer_down, and leave_cluster;
/// membership_partners once, before anything else. `drain` ends it.
membership_self::behavior_type
membership_actor(membership_self::stateful_pointer<membership_state> self, membership_parts parts);

} // namespace penstock
