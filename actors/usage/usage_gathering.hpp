// A report over the cluster, as it comes together. Pure.
#pragma once

#include "actors/usage/usage_copy_messages.hpp"
#include "actors/usage/usage_messages.hpp"
#include "storage/stores/usage_copies.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace penstock {

/// Ids that a report holds at once, of all nodes together, or about so many; a report over more is
/// made in parts, each of other ids.
inline constexpr std::uint64_t usage_ids_a_part = 65'536;
inline constexpr std::uint32_t max_usage_parts = 4096;
/// Sources that one node may tell of: its own counts, and its copies.
inline constexpr std::size_t max_usage_sources = max_usage_copies + 1;

/// First each node says whose counts it has; then of each origin one source is chosen, and no
/// other asked: the node itself where it was reached, else the copy that knows most. So what an
/// origin counted is in the sums once, whoever has copies of it.
class usage_gathering {
 public:
  using node = std::uint16_t;

  usage_gathering(usage_query query, std::vector<std::string> members)
      : query_(std::move(query)), members_(std::move(members)) {}

  /// What a node has. One that does not say is left out.
  void add_sources(node from, const usage_sources& theirs);
  /// All have said, or will not: chooses.
  void choose();
  /// What to ask which node, part by part; empty when all parts have been asked for.
  std::map<node, usage_part_question> next_part();
  /// A node's answer to that; all must have come before next_part() is called again.
  void add_rows(const std::vector<usage_row>& rows);

  usage_report report() const;
  usage_coverage coverage() const;

 private:
  struct source {
    node at = 0;
    usage_source what;
  };
  void end_part();
  bool is_before(const usage_row& a, const usage_row& b) const;

  usage_query query_;
  std::vector<std::string> members_; ///< addresses
  std::map<std::string, std::vector<source>> by_origin_;
  std::map<node, std::uint64_t> copy_names_; // see usage_sources
  std::vector<source> chosen_;
  std::uint32_t parts_ = 1, part_ = 0;
  boost::unordered_flat_map<std::string, usage_counts> sums_; // of a part
  std::map<std::int64_t, usage_counts> buckets_;              // of a query for one id
  usage_counts total_;
  std::uint64_t ids_ = 0;
  std::vector<usage_row> top_; // a heap, the least in front
};

} // namespace penstock
