// How many connections each address has on this node (http.max_connections_per_address).
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace penstock {

/// One for all lanes; any thread. It takes a lock, once when a connection opens and once when it
/// closes, and never for a request. An address is in the table while it has a connection, so
/// http.max_connections bounds the table, too.
class address_counts {
 public:
  /// `max`: connections of one address, at least 1.
  explicit address_counts(std::uint32_t max) : max_(max) {}

  /// `address`: a hash, as of identifier::client_of(). False, and nothing is counted, when it has
  /// as many as it may.
  bool take(std::uint64_t address) {
    const std::lock_guard lock{mutex_};
    auto& count = counts_[address];
    if (count >= max_) return false;
    ++count;
    return true;
  }
  /// One that was taken has closed.
  void give_back(std::uint64_t address) {
    const std::lock_guard lock{mutex_};
    const auto found = counts_.find(address);
    if (found != counts_.end() && --found->second == 0) counts_.erase(found);
  }
  /// Addresses that have a connection.
  std::size_t size() const {
    const std::lock_guard lock{mutex_};
    return counts_.size();
  }

 private:
  const std::uint32_t max_;
  mutable std::mutex mutex_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> counts_;
};

} // namespace penstock
