// Plans that are being deleted, here or at another node: while they are, no key is made of them and
// nobody sets them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// Plans that are reserved for nodes that ask, and deletions under way here; each.
inline constexpr std::size_t max_reserved_plans = 1'000;

/// What a node says of a plan that another one wants to delete. The numbers are on the wire.
enum class plan_use : std::uint8_t {
  none = 0,    ///< it may go: the node makes no key of it for some time
  keys = 1,    ///< live keys use it, and the node's configuration has none of that name
  changed = 2, ///< the node knows a later change of it
  unsaid = 3,  ///< it can't say now
};

/// A node that deletes a plan asks its peers first. One that has no objection reserves the plan:
/// until the deletion is told, or was given up, or time has passed. So of a deletion and a key made
/// elsewhere at that time one fails: the key if the node was asked before, else the deletion.
/// Not synchronised.
class plan_deletions {
 public:
  /// A deletion asked for here.
  struct deletion {
    std::string name;
    std::uint64_t version = 0; ///< of the plan when it began
    std::set<std::uint16_t> asked{};
    std::set<std::uint16_t> awaited{};
  };
  /// How one ended: who objects, or nobody.
  struct outcome {
    std::uint64_t number = 0;
    deletion what;
    plan_use objection = plan_use::none;
    std::uint16_t by = 0;
    std::uint64_t keys = 0; ///< with plan_use::keys
  };

  /// It is being deleted, here or at another node.
  bool is_going(const std::string& name) const;

  // -- here ---------------------------------------------------------------------------------------

  /// The number by which the peers' answers name it; none: as many as may be are under way, or one
  /// of that name. Numbers only grow.
  std::optional<std::uint64_t> begin(const std::string& name, std::uint64_t version,
                                     std::set<std::uint16_t> peers);
  /// Ends it if nobody is awaited any more, or with that objection. None: it goes on, or there is
  /// none of that number any more.
  std::optional<outcome> answered(std::uint64_t number, std::uint16_t peer, plan_use use,
                                  std::uint64_t keys);
  /// Ends one that waited for too long: who was not heard of can't say.
  std::optional<outcome> timed_out(std::uint64_t number);
  /// A peer is out of reach, and no longer waited for: what it does comes to be known later.
  std::vector<outcome> went(std::uint16_t peer);

  // -- for others ---------------------------------------------------------------------------------

  /// False: as many as may be are reserved.
  bool reserve(const std::string& name, const std::string& asker, std::uint64_t number);
  void release(const std::string& name, const std::string& asker, std::uint64_t number);
  /// Its record changed: whoever asked for it has what he wanted, or has to ask again.
  void release(const std::string& name);
  void release_all_of(const std::string& asker);

 private:
  std::optional<outcome> end(std::uint64_t number, plan_use objection, std::uint16_t by,
                             std::uint64_t keys);

  std::map<std::uint64_t, deletion> deletions_;
  std::uint64_t last_number_ = 0;
  std::map<std::pair<std::string, std::string>, std::uint64_t> reserved_; // by name and asker
};

} // namespace penstock
