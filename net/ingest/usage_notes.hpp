// Whom the requests of a turn's batch count for, kept from the parser to the verdict.
#pragma once

#include "actors/usage/usage_tally.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Hashes ids under a secret that only this object has, so that nobody can aim at a hash.
class usage_hasher {
 public:
  usage_hasher();
  std::uint64_t operator()(std::string_view text) const;

 private:
  std::array<char, 192> secret_;
};

/// A list of usage_ids with texts of its own. Memory is kept by clear().
class usage_notes {
 public:
  void add(const usage_ids& ids) {
    auto& added = notes_.emplace_back();
    for (std::size_t d = 0; d < usage_dimensions; ++d) {
      added.hash[d] = ids[d].hash;
      if (!ids[d].text.empty()) texts_ += ids[d].text.substr(0, max_usage_id_bytes);
      added.end[d] = static_cast<std::uint32_t>(texts_.size());
    }
  }

  /// Its texts are views that last until the next add().
  usage_ids operator[](std::size_t i) const {
    usage_ids ids;
    std::uint32_t begin = i == 0 ? 0 : notes_[i - 1].end.back();
    for (std::size_t d = 0; d < usage_dimensions; ++d) {
      const auto end = notes_[i].end[d];
      if (notes_[i].hash[d] != 0)
        ids[d] = {notes_[i].hash[d], std::string_view{texts_}.substr(begin, end - begin)};
      begin = end;
    }
    return ids;
  }

  /// What was noted does not count for an id of this dimension any more.
  void forget(std::size_t i, usage_dimension by) {
    if (i < notes_.size()) notes_[i].hash[static_cast<std::size_t>(by)] = 0;
  }

  bool empty() const { return notes_.empty(); }
  void clear() {
    notes_.clear();
    texts_.clear();
  }

 private:
  struct note {
    std::array<std::uint64_t, usage_dimensions> hash;
    std::array<std::uint32_t, usage_dimensions> end; ///< of each text in texts_
  };
  std::vector<note> notes_;
  std::string texts_;
};

} // namespace penstock
