// The leases that an owner gave: what it must know of them to take units back. Pure.
#pragma once

#include "actors/base/shards.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/limiter/lease_cache.hpp"
#include "actors/limits/limit_ledger.hpp"
#include "actors/limits/limit_messages.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace penstock {

/// To whom a lease was given: a process, and which of its questions.
struct lease_origin {
  std::uint64_t holder = 0; ///< as in placement; 0: not known
  std::uint64_t token = 0;  ///< of the question; later ones have higher numbers

  bool operator==(const lease_origin&) const = default;
};

/// A lease under way, as it goes to other nodes with the counters: to a shard's new owner, and to
/// who would take over from the owner.
struct moved_lease {
  std::uint64_t lease = 0;
  std::uint64_t client = 0; ///< these five as in lease_key
  std::uint64_t key = 0;
  std::uint32_t plan = 0;
  std::uint32_t stream = 0;
  limit_mask limits = all_limits;
  std::uint32_t units = 0;
  std::int64_t left_ns = 0;          ///< until it is forgotten
  std::vector<std::int64_t> marks{}; ///< as in lease_marks
  std::uint16_t plan_digest = 0;     ///< of the rules that it was charged by
  lease_origin origin{};             ///< travels beside it: see shard_rows

  bool operator==(const moved_lease&) const = default;
};

/// The leases with what travels beside them.
std::vector<moved_lease> with_origins(std::vector<moved_lease> leases,
                                      const std::vector<lease_origin>& origins);

/// A lease that began or ended.
struct lease_change {
  std::uint64_t lease = 0;
  std::uint64_t client = 0;
};

/// Leases under way that a limiter knows of, and as many copies of others'; each takes about 150
/// bytes.
inline constexpr std::size_t max_granted_leases = 65'536;

/// Gives leases out of a ledger and takes back what was not spent. Not synchronised.
class lease_granter {
 public:
  /// Beyond `max_leases` under way none are given. `series` is another for each granter of a
  /// cluster, at random: leases are known by their number wherever their shard goes.
  lease_granter(limit_ledger& ledger, std::size_t max_leases, std::uint32_t series)
      : ledger_(ledger), max_leases_(max_leases),
        last_id_(static_cast<std::uint64_t>(series) << 32) {}

  /// What a holder says of the leases that it was given before: settles the one that it had, and
  /// takes back whole what it never heard of. To be called before its question is decided. Gives
  /// how many units came back.
  std::uint32_t settle(const lease_key& key, std::uint64_t holder,
                       const lease_settlement& settlement, std::int64_t now_ns);

  /// To an item that was just decided: sets aside up to `requested_units` for who asked, and says
  /// when to ask again. `at` as for the decision.
  lease_answer answer(const limit_ledger::location& at, const admit_item& item,
                      const limit_ledger::decision& decided, std::uint32_t requested_units,
                      const lease_origin& origin, std::int64_t now_ns);

  /// Gives the units back to the client; those of a lease that is not known are kept for a while,
  /// as it may be on its way here with its shard. Gives how many it took.
  std::uint32_t take_back(const lease_return& what, std::int64_t now_ns);

  /// What a dead holder spent of a lease nobody knows: half of it is taken for spent, and the other
  /// half goes back. Gives how many units that was. It errs by half of the lease at most.
  using is_lost_function = std::function<bool(std::uint64_t holder, std::uint64_t client)>;
  std::uint64_t reclaim(const is_lost_function& is_lost, std::int64_t now_ns);

  /// Takes out the leases of a shard's clients, and takes such in. One that was charged by other
  /// rules than the plan's here is passed over: its marks and units are not of these limits.
  std::vector<moved_lease> take_out(std::uint32_t shard, std::int64_t now_ns);
  void take_in(const moved_lease& lease, std::int64_t now_ns);

  /// Leases that began or ended since the last call, for the backup; none are noted before
  /// note_changes(true).
  std::vector<lease_change> take_changed() { return std::exchange(changed_, {}); }
  void note_changes(bool wanted);
  /// Counts all leases of these shards as changed.
  void mark_shards(const std::bitset<shard_count>& shards);
  /// Nothing if it has ended.
  std::optional<moved_lease> look_up(std::uint64_t lease, std::int64_t now_ns) const;

  /// Forgets leases that can't come back any more: they were spent.
  void collect(std::int64_t now_ns);
  /// Plans are about to change: what is under way can't be taken back any more.
  void forget_all(std::int64_t now_ns);

  std::size_t leases() const { return given_.size(); }

 private:
  struct given {
    lease_key key;
    std::uint32_t units = 0;
    std::int64_t over_ns = 0;
    lease_marks marks{};
    std::uint16_t plan_digest = 0;
    lease_origin origin{};
  };
  struct holder_key {
    std::uint64_t holder = 0;
    lease_key key;
    bool operator==(const holder_key&) const = default;
    friend std::size_t hash_value(const holder_key& of) {
      return hash_value(of.key) ^ static_cast<std::size_t>(of.holder);
    }
  };
  using map = boost::unordered_flat_map<std::uint64_t, given>;

  static moved_lease moved(std::uint64_t lease, const given& entry, std::int64_t now_ns);
  void add(std::uint64_t lease, const given& entry);
  /// Of the lease so many units were not spent; forgets it.
  void end(map::iterator at, std::uint32_t unspent, std::int64_t now_ns);
  void note(std::uint64_t lease, std::uint64_t client);
  template <class Which>
  std::vector<map::iterator> leases_where(Which&& which);

  limit_ledger& ledger_;
  std::size_t max_leases_;
  std::uint64_t last_id_;
  std::int64_t collected_ns_ = 0;
  map given_;
  // The last lease of a client that a holder was given.
  boost::unordered_flat_map<holder_key, std::uint64_t> held_;
  // Returns that came before their leases did.
  struct early {
    std::uint32_t units = 0;
    std::int64_t over_ns = 0;
  };
  boost::unordered_flat_map<std::uint64_t, early> early_;
  bool notes_changes_ = false;
  std::vector<lease_change> changed_;
};

/// Leases of other owners' shards, for the day on which one of these dies. Not synchronised.
class lease_copies {
 public:
  /// Beyond `max_leases` none are kept.
  explicit lease_copies(std::size_t max_leases) : max_leases_(max_leases) {}

  void add(const moved_lease& lease, std::int64_t now_ns);
  void end(std::uint64_t lease) { kept_.erase(lease); }
  /// Takes out those of a shard's clients that are not over.
  std::vector<moved_lease> take_out(std::uint32_t shard, std::int64_t now_ns);
  void collect(std::int64_t now_ns);

  std::size_t size() const { return kept_.size(); }

 private:
  std::size_t max_leases_;
  std::int64_t collected_ns_ = 0;
  boost::unordered_flat_map<std::uint64_t, moved_lease> kept_; // left_ns: when it is over
};

} // namespace penstock
