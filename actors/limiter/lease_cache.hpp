// The leases that a node holds: what it may admit without asking the owner. Pure.
#pragma once

#include "actors/limits/lease_terms.hpp"
#include "actors/limits/plan.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace penstock {

/// What the owner of a shard says beside a verdict. Times count from when the holder asked, so that
/// no clock is compared with another's: a lease ends at the holder before it does at the owner.
struct lease_answer {
  std::uint32_t item = 0;       ///< of the request
  std::uint64_t lease = 0;      ///< 0: none
  std::uint32_t units = 0;      ///< set aside for the holder
  std::int64_t lifetime_ns = 0; ///< until then they may be spent
  std::int64_t again_ns = 0;    ///< once they are spent: nothing is admitted, and need not be asked
                                ///< for, before then. 0: ask
  bool operator==(const lease_answer&) const = default;
};

/// What a holder says of its leases when it asks for the next one, so that the owner can settle
/// them.
struct lease_settlement {
  std::uint64_t lease = 0;     ///< that it had last; 0: none
  std::uint32_t unspent = 0;   ///< of it
  std::uint64_t void_from = 0; ///< answers to this question of it and to later ones never came, nor
                               ///< will they be taken; 0: all came
  bool operator==(const lease_settlement&) const = default;
};

/// Units of a lease that were not spent.
struct lease_return {
  std::uint64_t lease = 0;
  std::uint32_t units = 0;
  bool operator==(const lease_return&) const = default;
};

/// Units to be sent back to the owner that gave them.
struct returned_units {
  std::uint16_t owner = 0; ///< as it was given to take()
  std::uint64_t client = 0;
  lease_return what;
};

/// Clients of other nodes' shards that a limiter remembers; each takes about 150 bytes. As many
/// returns of leases are remembered.
inline constexpr std::size_t max_cached_clients = 65'536;

/// Clients that a limiter asks other nodes about, each with what it holds for it. Not synchronised.
class lease_cache {
 public:
  /// Beyond `max_clients` new ones are asked for each time.
  explicit lease_cache(std::size_t max_clients) : max_clients_(max_clients) {}

  /// The verdict, if it takes no asking: all of the events are granted from a lease, or none since
  /// the owner said that none would be. Counts the demand either way, unless `again`: the same
  /// events have been here before.
  std::optional<verdict> spend(const lease_key& key, std::uint32_t events, std::int64_t now_ns,
                               bool again = false);

  /// How many units to ask for beyond the events themselves: about what the client sends in a
  /// lease's life. 0 for a client that was hardly seen, and while another such question is under
  /// way. To be called after a spend() that gave nothing; if it gives more than 0, take() or
  /// give_up() follow, and what was left of the lease is not spent any more.
  std::uint32_t units_to_request(const lease_key& key, const lease_terms& terms,
                                 std::int64_t now_ns);

  /// What to say beside such a request for units, each time that it is sent.
  lease_settlement settlement(const lease_key& key) const;
  /// For owners that don't understand settlements: what a settlement would say is unspent.
  std::optional<returned_units> surrender(const lease_key& key);
  /// No answer to the question with this number will be taken.
  void lost(const lease_key& key, std::uint64_t token);

  /// Whether such a question is under way.
  bool asks(const lease_key& key) const;

  /// The owner's answer to a request for units, sent at `asked_ns`; a peer's, so its times are cut
  /// to what an owner may say. Gives a lease back that is of no use: the answer's if the client is
  /// not known any more, or one that the answer takes the place of.
  std::optional<returned_units> take(const lease_key& key, std::uint16_t owner,
                                     const verdict& decided, const lease_answer& answer,
                                     std::int64_t asked_ns, std::int64_t now_ns);
  void give_up(const lease_key& key);

  /// Takes out leases that are over, lie idle, or last for much longer than the client needs. Now
  /// and then forgets clients not seen for long.
  std::vector<returned_units> collect(std::int64_t now_ns);
  /// Takes out all leases, and forgets all clients.
  std::vector<returned_units> collect_all();

  std::size_t clients() const { return held_.size(); }
  std::uint64_t units() const { return units_; }
  /// Those of them that collect() looks at: they have a lease, or had one since its last call.
  std::size_t leased() const { return leased_.size(); }

 private:
  struct holding {
    std::uint64_t lease = 0;
    std::uint32_t units = 0;
    std::uint32_t unspent = 0;     // of a lease that another is asked for after
    std::uint32_t seen = 0;        // events asked for in the period that began at period_ns
    std::uint32_t seen_before = 0; // and in the one before
    std::uint16_t owner = 0;
    bool asking = false;
    bool is_listed = false; // in leased_
    verdict last_verdict{};
    std::uint64_t void_from = 0; // the first question since that was lost
    std::int64_t period_ns = 0;
    std::int64_t began_ns = 0;
    std::int64_t expires_ns = 0;
    std::int64_t refused_until_ns = 0;
    std::int64_t resets_ns = 0; // when the limit in last_verdict resets
    std::int64_t seen_ns = 0;
  };

  static void count_demand(holding& of, std::uint32_t events, std::int64_t now_ns);
  static bool is_needed(const holding& of, std::int64_t now_ns);
  std::optional<returned_units> take_out(const lease_key& key, holding& from);

  std::size_t max_clients_;
  std::uint64_t units_ = 0;
  std::int64_t forgot_ns_ = 0;
  boost::unordered_flat_map<lease_key, holding> held_;
  std::vector<lease_key> leased_; // each once: those with units, and some without any more
};

} // namespace penstock
