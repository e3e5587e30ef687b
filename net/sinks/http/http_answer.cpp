#include "net/sinks/http/http_answer.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <optional>

namespace penstock {

namespace {

namespace json = boost::json;

bool is_refusal(std::int64_t status) {
  return status == 400 || status == 413 || status == 415 || status == 422;
}

std::string http_hint(long status) {
  switch (status) {
  case 401:
  case 403:
    return "; check the credentials in this sink's headers";
  case 404:
    return "; check this sink's url";
  default:
    return status >= 300 && status < 400 ? "; redirects are not followed: correct this sink's url"
                                         : "";
  }
}

/// What a status says of the path that was asked for, if it is the stream's own.
failure_scope http_scope(long status) {
  switch (status) {
  case 404:
  case 410:
    return failure_scope::missing;
  case 403:
  case 405:
  case 507:
    return failure_scope::stream;
  default:
    return failure_scope::sink;
  }
}

std::string text_member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || !value->is_string()) return {};
  return std::string{value->get_string().data(), value->get_string().size()};
}

/// "the server answered 422: why".
std::string http_words(std::int64_t status, const std::string& detail) {
  auto words = "the server answered " + std::to_string(status);
  if (!detail.empty()) words += ": " + quoted_words(detail);
  return words;
}

/// Penstock's entry for one event that it did not take.
struct http_event_error {
  std::int64_t index = -1;
  std::int64_t status = 0;
  std::string detail;
};

http_event_error read_event_error(const json::value& value) {
  http_event_error out;
  const auto* object = value.if_object();
  if (!object) return out;
  const auto* index = object->if_contains("index");
  const auto* status = object->if_contains("status");
  if (!index || !index->is_int64() || !status || !status->is_int64()) return out;
  out.index = index->get_int64();
  out.status = status->get_int64();
  out.detail = text_member(*object, "detail");
  return out;
}

/// Applies the errors to `out`, in which all events are delivered, and says how many events there
/// are up to the last one that has an error. Nothing: they make no sense.
std::optional<std::size_t> apply_errors(request_outcome& out, const json::array& errors) {
  std::size_t told = 0;
  for (const auto& entry : errors) {
    const auto one = read_event_error(entry);
    if (one.index < 0 || static_cast<std::size_t>(one.index) >= out.events.size())
      return std::nullopt;
    told = std::max(told, static_cast<std::size_t>(one.index) + 1);
    const bool refused = is_refusal(one.status);
    out.events[static_cast<std::size_t>(one.index)] =
        refused ? settled_as::refused : settled_as::failed;
    auto& why = refused ? out.refusal : out.failure;
    if (why.empty()) why = http_words(one.status, one.detail);
  }
  return told;
}

std::int64_t number_member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_int64() ? value->get_int64() : 0;
}

/// Whether the document is Penstock's answer to a batch; then `out` is what it says.
bool read_batch_summary(const json::object& document, std::size_t events, request_outcome& out) {
  const auto* accepted = document.if_contains("accepted");
  const auto* rejected = document.if_contains("rejected");
  const auto* errors = document.if_contains("errors");
  if (!accepted || !accepted->is_int64() || !rejected || !rejected->is_int64() || !errors ||
      !errors->is_array())
    return false;
  out = request_outcome::all(events, settled_as::delivered);
  const auto told = apply_errors(out, errors->get_array());
  // Of many errors only the first are told. What lies behind them was as a rule not taken; where
  // some of it was, its keys say so when it comes again.
  const bool has_more = told && number_member(document, "errors_omitted") > 0;
  if (has_more) {
    std::fill(out.events.begin() + static_cast<std::ptrdiff_t>(*told), out.events.end(),
              settled_as::failed);
    if (out.failure.empty()) out.failure = "the server did not say why it took no more";
  }
  const auto delivered = std::count(out.events.begin(), out.events.end(), settled_as::delivered);
  if (!told || (has_more ? delivered > accepted->get_int64() : delivered != accepted->get_int64()))
    out = request_outcome::all(events, settled_as::failed,
                               "the server's account of the batch does not add up");
  return true;
}

} // namespace

request_outcome read_http_answer(const curl_answer& answer, std::size_t events) {
  json::error_code failed;
  const auto parsed = json::parse(answer.body, failed);
  const auto* document = failed ? nullptr : parsed.if_object();
  request_outcome out;
  if (document && read_batch_summary(*document, events, out)) {
    out.pause_ms = answer.retry_after_ms;
    return out;
  }
  if (answer.status >= 200 && answer.status < 300)
    return request_outcome::all(events, settled_as::delivered);
  const auto detail = document ? text_member(*document, "detail") : std::string{};
  const auto words = http_words(answer.status, detail) + http_hint(answer.status);
  if (is_refusal(answer.status)) return request_outcome::whole_refusal(events, words);
  out = request_outcome::all(events, settled_as::failed, words);
  out.pause_ms = answer.retry_after_ms;
  out.scope = http_scope(answer.status);
  return out;
}

} // namespace penstock
