// The admin plane's reports on usage.
#pragma once

#include "actors/usage/usage_messages.hpp"
#include "net/admin/admin_route.hpp"
#include "storage/stores/usage_reader.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// Reports that may be asked for at once; they are made one after the other. More get 503.
inline constexpr std::size_t max_usage_reports = 4;

/// What a query string asks for.
struct usage_request {
  usage_query query;
  bool as_csv = false;
  bool of_node = false; ///< of the node that is asked alone, rather than of its cluster
};

/// In an answer over a cluster: the members that nobody knows the counts of, where there are any.
/// For who reads CSV, which has no place for them.
inline constexpr const char* usage_missing_header = "Penstock-Usage-Missing";

/// Reads by, per, from, to, top, id, order, format and scope; `now_ms` is what relative times are
/// relative to. Errors: invalid, naming the parameter and what would do.
result<usage_request> parse_usage_request(std::string_view query, std::int64_t now_ms);

/// {"by":…,"per":…,"from":…,"to":…,"total":{…},"ids":n,"top":[{"id":…,"requests":…,…}]}, or with an
/// id "buckets":[{"time":…,"requests":…,…}] in place of ids and top. Of a cluster also
/// "nodes":[{"node":…,"address":…,"source":"node" or "copy","known_to":…}] and "missing":[…].
std::string usage_json(const usage_query& query, const usage_report& report,
                       const std::optional<usage_coverage>& coverage = {});
/// The same rows with a header line (RFC 4180). An id that a spreadsheet would take for a formula
/// gets an apostrophe before it.
std::string usage_csv(const usage_query& query, const usage_report& report);

} // namespace penstock
