// What a front end fills in of a plan when it asks a limiter, worked out once a plan or path.
#pragma once

#include "actors/limits/plan.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace penstock {

/// One a front end and plan. Not synchronised.
class plan_charges {
 public:
  explicit plan_charges(const plan& rules);

  std::uint32_t plan() const { return id_; } ///< admit_item::plan
  bool counts_bytes() const { return counts_bytes_; }
  /// admit_item::limits of a request. Most plans have no rules by method and path, and this looks
  /// at nothing; for the others the masks of up to max_paths are remembered.
  limit_mask limits(std::string_view method, std::string_view path);

  static constexpr std::size_t max_paths = 1024;

 private:
  struct target_view {
    std::string_view method;
    std::string_view path;
  };
  struct target {
    std::string method;
    std::string path;
    operator target_view() const { return {method, path}; }
  };
  struct hash {
    using is_transparent = void;
    std::size_t operator()(const target_view& t) const {
      return std::hash<std::string_view>{}(t.path) * 31 + t.method.size();
    }
  };
  struct same {
    using is_transparent = void;
    bool operator()(const target_view& a, const target_view& b) const {
      return a.path == b.path && a.method == b.method;
    }
  };

  penstock::plan rules_; // only of plans whose limits are selective
  std::uint32_t id_;
  bool counts_bytes_;
  bool selective_;
  boost::unordered_flat_map<target, limit_mask, hash, same> known_;
};

} // namespace penstock
