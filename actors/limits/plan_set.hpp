// The plans in force: those of the configuration, and those set while running, which win.
#pragma once

#include "actors/limits/plan.hpp"
#include "storage/base/result.hpp"
#include "storage/stores/account_store.hpp"

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// A plan with what is known of it.
struct plan_entry {
  plan rules;
  std::uint32_t id = 0;
  bool stored = false;         ///< set through the admin API; else from the configuration
  bool configured = false;     ///< the configuration has one of this name
  std::int64_t changed_ms = 0; ///< of a stored plan
  bool missing = false;        ///< keys have it, and it is nowhere: its limits are anonymous's
};

/// A snapshot. Immutable; any number of threads may read. Pointers live as long as it does.
class plan_set {
 public:
  plan_set() = default;
  /// A stored plan whose limits can't be read (another version's, say) is left out, and with it
  /// the configuration's of its name wins again; its name is in `unreadable`.
  /// Those of `missing` that are neither configured nor stored get the limits of anonymous clients.
  plan_set(const std::vector<plan>& configured, const std::vector<plan_record>& stored,
           const std::set<std::string>& missing = {});

  /// Null when there is none. Of plans whose ids are equal the first by name is found by id.
  const plan_entry* by_name(std::string_view name) const;
  const plan_entry* by_id(std::uint32_t id) const;
  /// By name.
  const std::vector<plan_entry>& all() const { return entries_; }
  const std::vector<std::string>& unreadable() const { return unreadable_; }

 private:
  std::vector<plan_entry> entries_;
  std::vector<std::uint32_t> by_id_; // indexes of entries_, by id and name
  std::vector<std::string> unreadable_;
};

using plan_set_ptr = std::shared_ptr<const plan_set>;

/// The same plans as limiters take them.
std::shared_ptr<const std::vector<plan>> limiters_plans(const plan_set& plans);

} // namespace penstock
