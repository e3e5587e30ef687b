// Units that were charged and that no backup is known to have: what a crash would admit again.
// Pure.
#pragma once

#include "storage/base/assert.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace penstock {

/// By client, as the bound is a part of each client's limit. Not synchronised.
class unconfirmed_units {
 public:
  struct part {
    std::uint64_t client = 0;
    std::uint64_t units = 0;
  };

  void add(std::uint64_t client, std::uint32_t units) {
    if (units == 0) return;
    entry& at = clients_[client];
    if (at.unsent == 0) unsent_.push_back(client);
    at.unsent += units;
    at.all += units;
    all_ += units;
    unsent_units_ += units;
    PENSTOCK_ASSERT(at.unsent <= at.all);
    PENSTOCK_ASSERT(unsent_units_ <= all_);
  }

  /// Sent or not.
  std::uint64_t of(std::uint64_t client) const {
    const auto found = clients_.find(client);
    return found == clients_.end() ? 0 : found->second.all;
  }
  std::uint64_t all() const { return all_; }
  std::uint64_t unsent() const { return unsent_units_; }

  /// What goes with the next message to backups, of clients for which `may_send(client)`.
  template <class MaySend>
  std::vector<part> take_unsent(MaySend&& may_send) {
    std::vector<part> out;
    std::erase_if(unsent_, [&](std::uint64_t client) {
      if (!may_send(client)) return false;
      const std::uint64_t units = std::exchange(clients_[client].unsent, 0);
      PENSTOCK_ASSERT(units != 0);
      PENSTOCK_ASSERT(unsent_units_ >= units);
      unsent_units_ -= units;
      out.push_back({client, units});
      return true;
    });
    return out;
  }

  /// What take_unsent() gave, once.
  void confirm(const std::vector<part>& sent) {
    for (const part& each : sent) {
      const auto found = clients_.find(each.client);
      PENSTOCK_ASSERT(found != clients_.end());
      PENSTOCK_ASSERT(found->second.all - found->second.unsent >= each.units);
      PENSTOCK_ASSERT(all_ - unsent_units_ >= each.units);
      found->second.all -= each.units;
      all_ -= each.units;
      if (found->second.all == 0) clients_.erase(found);
    }
  }

 private:
  struct entry {
    std::uint64_t all = 0; // of a client without a limit there may be many
    std::uint64_t unsent = 0;
  };
  boost::unordered_flat_map<std::uint64_t, entry> clients_;
  std::vector<std::uint64_t> unsent_; // clients with any
  std::uint64_t all_ = 0;
  std::uint64_t unsent_units_ = 0;
};

} // namespace penstock
