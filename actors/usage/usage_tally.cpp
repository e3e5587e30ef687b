#include "actors/usage/usage_tally.hpp"

namespace penstock {

void usage_tally::add(const usage_ids& ids, const usage_counts& counts) {
  empty_ = false;
  for (std::size_t d = 0; d < usage_dimensions; ++d) {
    const auto& id = ids[d];
    if (id.text.empty()) continue;
    auto& sums = sums_[d];
    if (const auto found = sums.by_hash.find(id.hash); found != sums.by_hash.end()) {
      found->second.counts += counts;
    } else if (sums.by_hash.size() < max_ids_) {
      sums.by_hash.emplace(id.hash,
                           usage_entry{std::string{id.text.substr(0, max_usage_id_bytes)}, counts});
    } else {
      sums.other += counts;
      ++overflowed_;
    }
  }
}

} // namespace penstock
