// HTTP requests over libcurl for sinks: one at a time, on a connection that is kept.
#pragma once

#include "net/sinks/shared_keys.hpp"
#include "storage/base/result.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// What of an answer is read; a longer one is an error.
inline constexpr std::size_t max_answer_bytes = 4u << 20;
/// The longest pause that a Retry-After is believed.
inline constexpr std::chrono::milliseconds max_retry_after_ms{3'600'000};

/// AWS Signature Version 4; an empty key_id: the request is not signed.
struct curl_signing {
  std::string region;
  std::string service;
  std::string key_id;
  std::string secret;
};

struct curl_request {
  std::string method = "POST";      ///< or PUT, GET; GET has no body
  std::string url;                  ///< to be signed: without a query
  std::vector<std::string> headers; ///< "Name: value"
  std::string_view body{};          ///< must outlive the call
  curl_signing signing{};
  bool no_proxy = false; ///< whatever the environment says
};

struct curl_answer {
  long status = 0;
  std::string body;
  std::chrono::milliseconds retry_after_ms{0}; ///< 0: the server named none
};

/// A libcurl handle. One thread at a time.
class curl_session {
 public:
  /// `stopping` becomes true when requests shall be given up: within a second.
  curl_session(sink_certificates tls, std::shared_ptr<const std::atomic<bool>> stopping);
  ~curl_session();
  curl_session(const curl_session&) = delete;
  curl_session& operator=(const curl_session&) = delete;

  /// Blocks until the answer is complete or `timeout` is over. Redirects are answers. Proxies are
  /// those of libcurl's environment variables. Errors: unavailable, in words that name the server
  /// but no path, query, header or password.
  result<curl_answer> send(const curl_request& request, std::chrono::milliseconds timeout);

 private:
  struct handle;
  std::unique_ptr<handle> handle_;
};

/// "http://HOST:PORT" of a URL, without user, path and query: for messages. "" if it is no http
/// URL.
std::string http_origin(std::string_view url);

} // namespace penstock
