// Who is a member, who is dead, and until when this node may decide for its shards. Pure: what was
// heard and the time come in, decisions go out.
#pragma once

#include "actors/directory/directory.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace penstock {

/// Times of membership. A node that says nothing for `remove_ns` is taken out of the view. It has a
/// say for `fence_ns` after its last renewal; so long the others wait before they take over what
/// was its, so that no clock is compared with another's, and nothing depends on how long a message
/// takes.
struct membership_times {
  std::int64_t renew_ns = 250'000'000;
  std::int64_t fence_ns = 700'000'000;
  std::int64_t remove_ns = 800'000'000;
  /// When fewer than half of the members are heard, nobody is taken out for so long, and what was
  /// theirs not taken over: see proposal().
  std::int64_t desert_ns = 30'000'000'000;
  /// Joins and leaves that come within so long of each other are one change, so that a shard moves
  /// once: gather_ns after the last of them, most_gather_ns after the first.
  std::int64_t gather_ns = 150'000'000;
  std::int64_t most_gather_ns = 500'000'000;
  /// When this node is at the directory, for the first time or again, the others have so long to be
  /// there, too: their clients may try again later. Not those to whom a link was lost: they are
  /// dead.
  std::int64_t back_ns = 5'000'000'000;
  /// So long they wait for the moves of the view before. A move that takes longer has failed.
  std::int64_t settle_ns = 6'000'000'000;
  /// Who has been no member, and silent, for so long will not come back: its record is taken out of
  /// the directory.
  std::int64_t forget_ns = 3'600'000'000'000;
};

/// Who tells a time that is further from the members' is not let in; less is how long records
/// travel.
inline constexpr std::int64_t max_time_difference_ns = 1'000'000'000;

/// Records that are known at a time: of members, of who would be one, and of the dead.
inline constexpr std::size_t max_heard_records = 4 * max_members;

/// All times are of one steady clock, which runs on while the process is stopped.
class membership {
 public:
  /// `secret_check`: see member_record; empty: whoever has another is not told apart.
  membership(view_member self, membership_times times = {}, std::string secret_check = {});

  // -- what was heard -----------------------------------------------------------------------------

  /// `revision`: of the record, in the store.
  void on_record(const member_record& record, std::int64_t now_ns, std::uint64_t revision = 0);
  void on_gone(const std::string& address, std::int64_t now_ns);
  /// Gives true when it is a later one than the last. An earlier one, of a store that was made anew
  /// by somebody who did not know better, is proposed away.
  bool on_view(const cluster_view& view, std::uint64_t revision, std::int64_t now_ns);
  /// This node is linked to the member, or not any more: a link goes about a second after its peer.
  void on_link(const std::string& address, bool up);
  /// The directory is out of reach, and may come back with another history.
  void on_away() {
    revision_ = 0;
    connected_ns_.reset();
  }
  /// It told all that it holds, and tells changes from now on.
  void on_watching(std::int64_t now_ns);
  /// The directory stored our record, which was sent at that time, and had that view afterwards.
  /// Only if this node knows the view may it decide for longer.
  void on_renewed(std::int64_t sent_ns, std::uint64_t revision);
  /// A peer answered, to a question sent at that time, that it is as far from the directory as we
  /// are and has the same view.
  void on_peer_away(const std::string& address, std::uint64_t epoch, std::int64_t sent_ns);

  /// A cluster of this node alone needs nobody's consent.
  void go_on_alone(std::int64_t now_ns);

  // -- what follows -------------------------------------------------------------------------------

  /// The view to propose, if the present one is wrong. Who joined, drains, or has drained, is put
  /// right when the moves of the present view are over, and together with others who do: so every
  /// member knows of each move that is planned, and counters move from who has them. Who started
  /// anew or left without draining is put right at once; who was not heard for remove_ns is taken
  /// out. The latter only by one who hears at least half of the members, since else they might be
  /// away from the directory together and go on with each other's consent (see decides_until), and
  /// who knows all views by which the silent one might decide.
  std::optional<cluster_view> proposal(std::int64_t now_ns);

  struct stale_record {
    std::string address;
    std::uint64_t revision = 0;
  };
  /// A record to take out of the directory, if any; one member does that for all, the first.
  /// Whoever comes back meanwhile has a record of another revision, which stays.
  std::optional<stale_record> stale(std::int64_t now_ns) const;
  /// That record is not there any more.
  void on_forgotten(const stale_record& what);

  /// Until then this node may decide for the shards that the view gives it: fence_ns after its last
  /// renewal, or after more than half of the members, itself among them, were away as well.
  std::int64_t decides_until() const { return decides_until_ns_; }

  /// Whether what was a dead member's may be taken over. Of each view by which it might still
  /// decide, at least half of the members must have seen the one that took it out: they consent to
  /// nothing by an earlier one any more, and the rest are too few. What was renewed or consented to
  /// before that is over fence_ns later.
  bool confirmed(std::int64_t now_ns);

  /// Whether to tell a peer that asks that we are away from the directory: that is when we can't
  /// decide by our renewals any more.
  bool is_away(std::int64_t now_ns) const { return now_ns - renewed_ns_ >= times_.fence_ns; }

  const cluster_view& view() const { return view_; }
  std::uint64_t revision() const { return revision_; }
  /// Whether the node has another cluster.secret. Then it is not let in.
  bool is_other(const std::string& address) const { return strangers_.contains(address); }
  /// Such a node is a member, and lives, and this node is none: it is the one that is not let in.
  bool is_stranger(std::int64_t now_ns) const;
  /// A member that took its record out: it has left, and the view does not say so yet.
  bool has_gone(const std::string& address) const { return gone_.contains(address); }
  /// There is no room for another.
  bool is_full() const { return view_.members.size() >= max_members; }
  /// In the view with this incarnation, so that it may own shards.
  bool is_in(const view_member& who) const;
  /// Since the member's record was heard last; 0 if it never was.
  double silent_s(const std::string& address, std::int64_t now_ns) const;
  const member_record* record_of(const std::string& address) const;

 private:
  struct heard {
    member_record record;
    std::int64_t at_ns = 0;
    bool by_itself = true; // false: a view named it
    std::uint64_t revision = 0;
  };

  /// What is known of a removal that the view tells of.
  struct removal {
    view_removal what;
    std::int64_t since_ns = 0;
    std::optional<std::int64_t> seen_ns;
  };

  bool is_after(const std::string& address, std::uint64_t epoch) const;
  const heard* time_giver(std::int64_t now_ns) const;
  bool has_time_of(const heard* giver, const heard& who) const;
  /// The members by what was heard: with all changes, and with those alone that can't wait.
  struct wanted_members {
    std::vector<view_member> all;
    std::vector<view_member> urgent;
  };
  wanted_members wanted(std::int64_t now_ns);
  bool has_settled(std::int64_t now_ns) const;
  bool all_leave() const;
  bool has_gathered(const std::vector<view_member>& request, std::int64_t now_ns);

  struct stranger {
    std::string incarnation;
    std::int64_t at_ns = 0; // when it was heard
  };

  bool has_another_secret(const member_record& record, std::int64_t now_ns);
  bool forget_longest_dead(std::int64_t now_ns);
  void note_removals(std::int64_t now_ns);
  void add_removal(cluster_view& next) const;
  bool was_seen(const view_removal& what) const;
  bool hears_half(std::int64_t now_ns) const;
  bool was_deserted(std::int64_t now_ns) const;
  bool knows_views_of(const std::string& address) const;
  std::int64_t hears_since() const;
  bool is_silent(const std::string& address, std::int64_t now_ns) const;

  view_member self_;
  membership_times times_;
  cluster_view view_;
  std::uint64_t revision_ = 0;
  bool outdated_ = false; // what is stored is older than our view
  boost::unordered_flat_map<std::string, heard> heard_;
  std::set<std::string> gone_; // members that took themselves out
  std::int64_t renewed_ns_;    // the last renewal was sent then
  std::int64_t decides_until_ns_;
  std::int64_t viewed_ns_ = 0;               // when the view came
  std::optional<std::int64_t> connected_ns_; // since then our renewals are stored
  std::set<std::string> link_lost_;          // members; and not linked again since
  std::string secret_check_;
  std::map<std::string, stranger> strangers_; // who have another secret, by address
  std::vector<view_member> wanted_;           // the members that are wanted, if they are others
  std::int64_t wanted_since_ns_ = 0;          // since then others are
  std::int64_t wanted_changed_ns_ = 0;        // when they changed last
  std::int64_t watching_ns_ = 0;              // since then records are heard
  std::vector<removal> unseen_;
  std::deque<cluster_view> history_;                          // the latest views, this one last
  boost::unordered_flat_map<std::string, std::int64_t> away_; // peers' consent: asked at that time
};

} // namespace penstock
