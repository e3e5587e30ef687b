// Errors as HTTP tells them: RFC 9457 documents, and the one table from errc to a status.
#pragma once

#include "storage/base/result.hpp"

#include <string>
#include <string_view>

namespace penstock {

inline constexpr std::string_view problem_content_type = "application/problem+json";

/// One error answer. Only `status` and `detail` need be given.
struct problem {
  unsigned status = 500;
  std::string detail;  ///< UTF-8; names the thing and, where there is one, the fix
  std::string title{}; ///< empty: the standard phrase of `status`
  std::string type{};  ///< empty: problem_type(status)
  /// Further members as JSON text without braces, e.g. `"violated-policies":[…]`.
  std::string members{};
};

/// The status that answers an error of this kind.
unsigned http_status(errc code);

/// The registered problem type of 429 and 503, else "about:blank".
std::string_view problem_type(unsigned status);

/// The standard phrase, e.g. "Not Found"; "Error" for a status we do not know.
std::string_view status_phrase(unsigned status);

/// The document: {"type":…,"title":…,"status":…,"detail":…}. Bytes of `detail` that are not UTF-8
/// (it may quote a client's input) are replaced, so that the document always parses.
std::string to_json(const problem& what);

/// What a client may be told of `err` (storage/base/told.hpp), with the status that belongs to its
/// code.
problem problem_from(const error& err);

} // namespace penstock
