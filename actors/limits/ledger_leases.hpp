// Units of a ledger that are set aside for other nodes.
#pragma once

#include "actors/limits/lease_terms.hpp"
#include "actors/limits/limit_books.hpp"

#include <array>
#include <cstdint>

namespace penstock {

/// What the limits of a plan must remember of a lease; see lease_mark().
using lease_marks = std::array<std::int64_t, max_limits_per_plan>;

/// A part of limit_ledger. Not synchronised.
class ledger_leases {
 public:
  explicit ledger_leases(limit_books& books) : books_(books) {}

  static lease_terms terms(const ledger_location& at, limit_mask applying);
  static lease_key key_of(const ledger_location& at, const admit_item& item);

  struct room {
    std::uint32_t units = 0;
    std::int64_t lifetime_ns = 0; ///< that asked for, or until the first window ends
  };
  /// What could be set aside for so long. There is a plan, and room for the client.
  static room leasable(const ledger_location& at, limit_mask applying, std::int64_t lifetime_ns,
                       std::int64_t now_ns);
  /// No more than leasable() told.
  static lease_marks set_aside(const ledger_location& at, limit_mask applying, std::uint32_t units,
                               std::int64_t now_ns);

  /// Of the `leased` units of a lease so many were not spent.
  void settle(const lease_key& key, const lease_marks& marks, std::uint32_t leased,
              std::uint32_t unspent, std::int64_t now_ns);
  /// See limits.hpp: before leases of the key are forgotten, and after one that is in the counters
  /// that came from another node has become known.
  void fold(const lease_key& key, std::int64_t now_ns);
  void unfold(const lease_key& key, std::uint32_t units);

 private:
  template <class Change>
  void change(const lease_key& key, Change&& change);

  limit_books& books_;
};

} // namespace penstock
