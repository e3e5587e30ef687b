// POSTs batches to a URL: to another Penstock, or to any server that takes lines of JSON or
// CloudEvents.
#include "net/sinks/http/http_sink.hpp"

#include "net/base/ascii.hpp"
#include "net/sinks/http/http_answer.hpp"
#include "net/sinks/http/http_body.hpp"
#include "net/sinks/http/http_target.hpp"

#include <algorithm>

namespace penstock {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What a Penstock takes in one request unless it is told otherwise (http.max_body,
// http.max_batch_events).
constexpr std::size_t http_request_bytes = 1u << 20;
constexpr std::size_t http_request_events = 10'000;
// A server that takes less says 413; below this we don't look for its limit.
constexpr std::size_t http_least_request_bytes = 16u << 10;
// Shorter words in headers are no secrets.
constexpr std::size_t http_least_secret_chars = 8;

struct http_sink_parts {
  std::string url;
  std::vector<std::string> headers; ///< "Name: value"
  std::vector<std::string> secrets; ///< of the headers, which no message may have
  http_format format = http_format::ndjson;
  std::string source;
  sink_certificates tls;
  std::shared_ptr<std::atomic<bool>> stopping = std::make_shared<std::atomic<bool>>(false);
};

/// Without the server's name and the query, which may hold a password.
std::string_view path_of(std::string_view url) {
  const auto host = url.find("://");
  const auto begin = host == url.npos ? url.npos : url.find('/', host + 3);
  if (begin == url.npos) return "/";
  return url.substr(begin, url.find('?', begin) - begin);
}

class http_connection final : public sink_connection {
 public:
  explicit http_connection(std::shared_ptr<const http_sink_parts> parts)
      : parts_{std::move(parts)}, curl_{parts_->tls, parts_->stopping},
        body_{parts_->format, parts_->source} {}

  delivery deliver(const sink_batch& batch, milliseconds timeout) override {
    const auto deadline = steady_clock::now() + timeout;
    const auto url = fill_http_url(parts_->url, batch.stream);
    if (!url) return delivery::no_target(batch.events.size(), url.error().message);
    const auto encoded = body_.encode(batch);
    const request_limits limits{.max_events = http_request_events, .max_bytes = max_bytes_};
    auto out = deliver_in_requests(batch, encoded, limits, [&](auto events) {
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
      return send(*url, batch, encoded, events, left);
    });
    out.scope = outgoing_form::scope_of(parts_->url, out.scope);
    if (out.scope != failure_scope::sink && !out.failure.empty())
      out.failure = std::string{path_of(*url)} + ": " + out.failure;
    hide_secrets(out.refusal);
    hide_secrets(out.failure);
    return out;
  }

 private:
  request_outcome send(const std::string& url, const sink_batch& batch,
                       const encoded_events& encoded, std::span<const std::uint32_t> events,
                       milliseconds timeout) {
    const auto body = body_.join(encoded, events);
    curl_request request{.url = url, .headers = parts_->headers, .body = body};
    request.headers.push_back(std::string{"Content-Type: "} + body_.content_type());
    if (const auto key = body_.idempotency_key(batch, events); !key.empty())
      request.headers.push_back("Idempotency-Key: \"" + key + '"');
    const auto answer = curl_.send(request, timeout);
    if (!answer)
      return request_outcome::all(events.size(), settled_as::failed, answer.error().message);
    if (answer->status == 413 && events.size() > 1)
      max_bytes_ = std::max(std::min(max_bytes_, body.size() / 2), http_least_request_bytes);
    return read_http_answer(*answer, events.size());
  }

  // A server may quote what it was sent.
  void hide_secrets(std::string& text) const {
    constexpr std::string_view hidden = "***";
    for (const auto& secret : parts_->secrets)
      for (auto at = text.find(secret); at != text.npos; at = text.find(secret, at + hidden.size()))
        text.replace(at, secret.size(), hidden);
  }

  std::shared_ptr<const http_sink_parts> parts_;
  curl_session curl_;
  http_body_writer body_;
  std::size_t max_bytes_ = http_request_bytes;
};

class http_sink final : public sink {
 public:
  explicit http_sink(std::shared_ptr<const http_sink_parts> parts) : parts_{std::move(parts)} {}

  sink_traits traits() const override { return {.batch_events = 1000, .batch_bytes = 512u << 10}; }
  std::unique_ptr<sink_connection> connect() override {
    return std::make_unique<http_connection>(parts_);
  }
  void stop() override { *parts_->stopping = true; }

 private:
  std::shared_ptr<const http_sink_parts> parts_;
};

bool is_header_text(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_header_name(std::string_view name) {
  constexpr std::string_view separators = "\"(),/:;<=>?@[\\]{}";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return c > 0x20 && c < 0x7f && separators.find(c) == separators.npos;
  });
}

bool is_set_here(std::string_view name) {
  std::string lower{name};
  std::transform(lower.begin(), lower.end(), lower.begin(), lower_ascii);
  return lower == "content-type" || lower == "content-length" || lower == "transfer-encoding" ||
         lower == "idempotency-key" || lower == "expect";
}

// "" or what is wrong.
std::string add_header(http_sink_parts& parts, const std::string& name, const std::string& value) {
  if (!is_header_name(name)) return "'" + name + "' can't be the name of a header field";
  if (!is_header_text(value)) return "the value of '" + name + "' has control characters";
  if (is_set_here(name)) return "'" + name + "' is set by the sink itself; leave it out";
  // libcurl sends a field without a value only if it is written this way.
  parts.headers.push_back(value.empty() ? name + ';' : name + ": " + value);
  // "Bearer SECRET": the words alone too.
  for (std::string_view rest = value; rest.size() >= http_least_secret_chars;) {
    parts.secrets.emplace_back(rest);
    const auto space = rest.find(' ');
    rest = space == rest.npos ? std::string_view{} : rest.substr(space + 1);
  }
  return {};
}

} // namespace

result<std::shared_ptr<sink>> make_http_sink(const http_sink_settings& settings,
                                             const sink_context& context) {
  const auto config = [&](const std::string& why) {
    return error{errc::config, "sinks." + context.name + '.' + why};
  };
  auto parts = std::make_shared<http_sink_parts>();
  parts->url = settings.url;
  if (http_origin(settings.url).empty())
    return config("url: write http://HOST:PORT/PATH or https://…");
  if (const auto why = http_pattern_fault(settings.url); !why.empty()) return config("url: " + why);
  if (settings.format == "cloudevents-batch")
    parts->format = http_format::cloudevents_batch;
  else if (settings.format != "ndjson")
    return config("format: write \"ndjson\" or \"cloudevents-batch\"");
  for (const auto& [name, value] : settings.headers)
    if (const auto why = add_header(*parts, name, value); !why.empty())
      return config("headers: " + why);
  parts->source = context.event_source();
  parts->tls = settings.certificates;
  return std::shared_ptr<sink>{std::make_shared<http_sink>(std::move(parts))};
}

} // namespace penstock
