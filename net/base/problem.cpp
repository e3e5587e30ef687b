#include "net/base/problem.hpp"

#include "net/base/json_text.hpp"
#include "storage/base/told.hpp"

#include <boost/beast/http/status.hpp>

namespace penstock {

unsigned http_status(errc code) {
  switch (code) {
  case errc::invalid:
    return 400;
  case errc::not_found:
    return 404;
  case errc::journal_full:
  case errc::disk_full:
    return 507;
  case errc::unavailable:
  case errc::locked:
    return 503;
  case errc::io:
  case errc::corrupt:
  case errc::newer:
  case errc::config:
    return 500;
  }
  return 500;
}

std::string_view problem_type(unsigned status) {
  switch (status) {
  case 429:
    return "https://iana.org/assignments/http-problem-types#quota-exceeded";
  case 503:
    return "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";
  default:
    return "about:blank";
  }
}

std::string_view status_phrase(unsigned status) {
  if (status == 507) return "Insufficient Storage";
  const auto known = boost::beast::http::int_to_status(status);
  if (known == boost::beast::http::status::unknown) return "Error";
  const auto phrase = boost::beast::http::obsolete_reason(known);
  return {phrase.data(), phrase.size()};
}

std::string to_json(const problem& what) {
  std::string out;
  out.reserve(160 + what.detail.size() + what.members.size());
  out += R"({"type":)";
  append_json_any(out, what.type.empty() ? problem_type(what.status) : std::string_view{what.type});
  out += R"(,"title":)";
  append_json_any(out,
                  what.title.empty() ? status_phrase(what.status) : std::string_view{what.title});
  out += R"(,"status":)";
  out += std::to_string(what.status);
  out += R"(,"detail":)";
  append_json_any(out, what.detail);
  if (!what.members.empty()) {
    out += ',';
    out += what.members;
  }
  out += '}';
  return out;
}

problem problem_from(const error& err) {
  return {.status = http_status(err.code), .detail = told_to_clients(err)};
}

} // namespace penstock
