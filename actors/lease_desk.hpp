// The leases that an owner gave: what it must know of them to take units back. Pure.
#pragma once

#include "actors/lease_purse.hpp"
#include "actors/limit_ledger.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <vector>

namespace penstock {

/// A lease under way, as it goes to a shard's new owner with the counters.
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

  bool operator==(const moved_lease&) const = default;
};

/// Gives leases out of a ledger and takes back what was not spent. Not synchronised.
class lease_desk {
 public:
  /// Beyond `max_leases` under way none are given. `series` is another for each desk of a cluster,
  /// at random: leases are known by their number wherever their shard goes.
  lease_desk(limit_ledger& ledger, std::size_t max_leases, std::uint32_t series)
      : ledger_(ledger), max_leases_(max_leases),
        last_id_(static_cast<std::uint64_t>(series) << 32) {}

  /// To an item that was just decided: sets aside up to `wish` units for who asked, and says when
  /// to ask again. `at` as for the decision.
  lease_answer answer(const limit_ledger::location& at, const admit_item& item,
                      const limit_ledger::decision& decided, std::uint32_t wish,
                      std::int64_t now_ns);

  /// Gives the units back to the client; those of a lease that is not known any more are lost to
  /// it. Gives how many it took.
  std::uint32_t take_back(const lease_return& what, std::int64_t now_ns);

  /// Takes out the leases of a shard's clients, and takes such in. One that was charged by other
  /// rules than the plan's here is passed over: its marks and units are not of these limits.
  std::vector<moved_lease> take_out(std::uint32_t shard, std::int64_t now_ns);
  void take_in(const moved_lease& lease, std::int64_t now_ns);

  /// Forgets leases that can't come back any more.
  void collect(std::int64_t now_ns);
  /// Plans changed: what is under way can't be taken back any more.
  void forget_all() { given_.clear(); }

  std::size_t leases() const { return given_.size(); }

 private:
  struct given {
    lease_key key;
    std::uint32_t units = 0;
    std::int64_t over_ns = 0;
    lease_marks marks{};
    std::uint16_t plan_digest = 0;
  };

  limit_ledger& ledger_;
  std::size_t max_leases_;
  std::uint64_t last_id_;
  std::int64_t collected_ns_ = 0;
  boost::unordered_flat_map<std::uint64_t, given> given_;
};

} // namespace penstock
