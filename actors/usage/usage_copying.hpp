// What of this node's usage goes to another node, so that it is not gone with this one; and which
// copies of others go on, once those are gone.
#pragma once

#include "actors/usage/usage_copy_messages.hpp"
#include "storage/stores/usage_copies.hpp"
#include "storage/stores/usage_store.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace penstock {

/// Rows of a message; one message is under way.
inline constexpr std::size_t usage_copy_rows = 2048;
/// Rows that changed and are not with the holder yet; beyond it all rows are sent again.
inline constexpr std::size_t max_changed_usage_rows = 100'000;
/// A node that counts nothing says so this often: up to then all it counted is known.
inline constexpr std::int64_t usage_known_every_ms = 5'000;
/// A node that was away for that long is taken for gone: its copy goes to a second node.
inline constexpr std::int64_t usage_gone_after_ms = 60'000;
/// The longest id in a row of a copy; see max_usage_id_bytes.
inline constexpr std::size_t max_copied_usage_id_bytes = 1024;

/// The holder is the linked peer that comes first by a hash of this node's origin and its address;
/// it stays so until its link is lost. A new one gets all rows once, in order of the store; from
/// then on, and meanwhile, those that change. States of rows are sent, not what was added: so it
/// does not matter which come twice, or that a row changes while it is sent.
///
/// A copy of a node that is gone goes on to this node's holder in the same way, if the node that
/// gave it is gone, too: so there are two copies of it again.
///
/// It reads the stores, and so blocks on the disk. Takes time as an argument. Not synchronised.
class usage_copying {
 public:
  /// Of `own` and `copies` the caller is the owner; they outlive this.
  usage_copying(usage_store& own, usage_copies& copies) : own_(own), copies_(copies) {}

  // -- peers --------------------------------------------------------------------------------------

  void peer_came(std::uint16_t member, const std::string& address);
  void peer_went(std::uint16_t member, std::int64_t now_ms);
  /// What it says of itself. One that leaves is nobody's holder.
  void greeted(std::uint16_t member, const usage_greeting& says);
  /// Null while there is none.
  std::optional<std::uint16_t> holder() const { return holder_; }

  // -- what changes -------------------------------------------------------------------------------

  /// These rows of the node's own were written.
  void changed(const std::vector<usage_key>& rows);
  /// A peer's copy was taken over.
  void copy_came(const std::string& origin);

  // -- what goes out ------------------------------------------------------------------------------

  /// The next message for the holder; nothing while one is under way, or nothing is to be sent.
  /// Errors: of a store, and then the same comes again.
  result<std::optional<usage_copy>> next(std::int64_t now_ms);
  /// What became of it. False: of an earlier one, which no longer matters.
  bool copied(const usage_copied& outcome);
  /// It drains: whoever is not linked is taken for gone.
  void leave() { is_leaving_ = true; }
  bool is_leaving() const { return is_leaving_; }
  /// The holder has all that it is to have; or there is none.
  bool is_settled(std::int64_t now_ms) const;
  /// Rows that changed and are to be sent.
  std::size_t waiting() const { return sending_.size() + changed_.size(); }
  /// Origins of which this node has counts that go to its holder, and are not all there: its own,
  /// and those that are gone.
  std::size_t waiting_copies(std::int64_t now_ms) const;
  /// Nodes of which it is known when their links were lost.
  std::size_t remembered_losses() const { return went_ms_.size(); }

 private:
  /// What the message under way has, to be sent again if it was not taken.
  struct under_way {
    std::uint64_t number = 0;
    std::string origin;
    std::int64_t known_ms = 0;
    usage_key before{}; ///< in a scan: from where to go on
    bool is_scan = false;
    bool ends_scan = false;
    std::vector<usage_key> rows{};
  };
  struct peer {
    std::string address;
    std::string origin; ///< empty: it has not said
    bool leaves = false;
  };

  void choose();
  void begin_anew();
  bool is_linked(const std::string& origin) const;
  bool is_gone(const std::string& origin, std::int64_t now_ms) const;
  bool is_to_go(const std::string& origin, const usage_copies::copy& copy,
                std::int64_t now_ms) const;
  std::optional<std::string> next_copy(std::int64_t now_ms) const;
  result<std::optional<usage_copy>> send_scan(usage_about about, std::int64_t known_ms,
                                              result<std::vector<usage_state>> rows);
  result<std::optional<usage_copy>> send_own(std::int64_t now_ms);
  result<std::optional<usage_copy>> send_copy(const std::string& origin);

  usage_store& own_;
  usage_copies& copies_;
  std::map<std::uint16_t, peer> peers_;
  std::map<std::string, std::int64_t> went_ms_; // by origin: when its link was lost, and lately
  std::optional<std::uint16_t> holder_;
  std::uint64_t last_number_ = 0;
  std::optional<under_way> under_way_;
  bool is_leaving_ = false;
  std::int64_t began_ms_ = -1; // when it was first asked what is next: nobody is gone before

  // Of the node's own.
  bool scanned_ = false;
  usage_key at_{};
  std::int64_t scan_began_ms_ = -1; // -1: not yet
  std::set<usage_key> changed_, sending_;
  std::int64_t sending_known_ms_ = 0; // all that was written by then is sent when these are
  std::int64_t told_known_ms_ = 0;

  // Of copies.
  std::set<std::string> copied_; // as they are, with the holder
  std::string copy_;             // which is being sent
  usage_key copy_at_{};
  bool copy_changed_ = false; // while it was sent
};

} // namespace penstock
