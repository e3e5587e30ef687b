// The admin plane's reports on usage.
#pragma once

#include "net/admin/admin_route.hpp"
#include "storage/stores/usage_reader.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

/// Reports that may be asked for at once; they are made one after the other. More get 503.
inline constexpr std::size_t max_usage_reports = 4;

/// What a query string asks for.
struct usage_request {
  usage_query query;
  bool as_csv = false;
};

/// Reads by, per, from, to, top, id, order and format; `now_ms` is what relative times are relative
/// to. Errors: invalid, naming the parameter and what would do.
result<usage_request> parse_usage_request(std::string_view query, std::int64_t now_ms);

/// {"by":…,"per":…,"from":…,"to":…,"total":{…},"ids":n,"top":[{"id":…,"requests":…,…}]}, or with an
/// id "buckets":[{"time":…,"requests":…,…}] in place of ids and top.
std::string usage_json(const usage_query& query, const usage_report& report);
/// The same rows with a header line (RFC 4180). An id that a spreadsheet would take for a formula
/// gets an apostrophe before it.
std::string usage_csv(const usage_query& query, const usage_report& report);

} // namespace penstock
