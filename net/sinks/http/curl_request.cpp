#include "net/sinks/http/curl_request.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <new>

namespace penstock {

namespace {

using std::chrono::milliseconds;

// What is handed to the socket at once. With libcurl's 64 KiB a receiver is woken for each, and a
// batch takes twice as long on the same machine.
constexpr long upload_buffer_bytes = 512L << 10;

struct curl_free_list {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using curl_list = std::unique_ptr<curl_slist, curl_free_list>;

struct curl_transfer {
  std::string body;
  bool too_large = false;
};

std::size_t curl_on_body(char* data, std::size_t, std::size_t bytes, void* user) {
  auto& transfer = *static_cast<curl_transfer*>(user);
  if (transfer.body.size() + bytes > max_answer_bytes) {
    transfer.too_large = true;
    return 0;
  }
  transfer.body.append(data, bytes);
  return bytes;
}

int curl_on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(user)->load(std::memory_order_relaxed) ? 1 : 0;
}

curl_list curl_headers(const curl_request& request) {
  curl_slist* all = nullptr;
  auto add = [&](const char* line) {
    auto* longer = curl_slist_append(all, line);
    if (!longer) throw std::bad_alloc{};
    all = longer;
  };
  for (const auto& line : request.headers)
    add(line.c_str());
  // Nobody waits for "100 Continue". A signed request can't do without the field: libcurl 7.88
  // would sign it although it is not sent.
  if (request.signing.key_id.empty()) add("Expect:");
  return curl_list{all};
}

void curl_start() {
  static const auto started = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(started);
}

} // namespace

struct curl_session::handle {
  CURL* easy = nullptr;
  sink_certificates tls;
  std::shared_ptr<const std::atomic<bool>> stopping;
  char words[CURL_ERROR_SIZE] = {};

  template <class T>
  void set(CURLoption option, T value) const {
    curl_easy_setopt(easy, option, value);
  }
  void set_always(curl_transfer& into);
  void set_request(const curl_request& request, milliseconds timeout) const;
};

// The connections of the handle outlive a reset; its options don't.
void curl_session::handle::set_always(curl_transfer& into) {
  curl_easy_reset(easy);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_UPLOAD_BUFFERSIZE, upload_buffer_bytes);
  set(CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
  set(CURLOPT_USERAGENT, "penstock/" PENSTOCK_VERSION);
  set(CURLOPT_ERRORBUFFER, words);
  set(CURLOPT_WRITEFUNCTION, curl_on_body);
  set(CURLOPT_WRITEDATA, &into);
  set(CURLOPT_XFERINFOFUNCTION, curl_on_progress);
  set(CURLOPT_XFERINFODATA, stopping.get());
  set(CURLOPT_NOPROGRESS, 0L);
  if (!tls.ca_file.empty()) set(CURLOPT_CAINFO, tls.ca_file.c_str());
  if (!tls.cert_file.empty()) set(CURLOPT_SSLCERT, tls.cert_file.c_str());
  if (!tls.key_file.empty()) set(CURLOPT_SSLKEY, tls.key_file.c_str());
}

void curl_session::handle::set_request(const curl_request& request, milliseconds timeout) const {
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  if (request.method == "GET") {
    set(CURLOPT_HTTPGET, 1L);
  } else {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.empty() ? "" : request.body.data());
    if (request.method != "POST") set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  if (request.no_proxy) set(CURLOPT_NOPROXY, "*");
  const auto& signing = request.signing;
  if (signing.key_id.empty()) return;
  set(CURLOPT_AWS_SIGV4, ("aws:amz:" + signing.region + ':' + signing.service).c_str());
  set(CURLOPT_USERNAME, signing.key_id.c_str());
  set(CURLOPT_PASSWORD, signing.secret.c_str());
}

curl_session::curl_session(sink_certificates tls, std::shared_ptr<const std::atomic<bool>> stopping)
    : handle_{std::make_unique<handle>()} {
  curl_start();
  handle_->tls = std::move(tls);
  handle_->stopping = std::move(stopping);
}

curl_session::~curl_session() {
  if (handle_->easy) curl_easy_cleanup(handle_->easy);
}

result<curl_answer> curl_session::send(const curl_request& request, milliseconds timeout) {
  const auto where = http_origin(request.url);
  if (*handle_->stopping) return error{errc::unavailable, where + ": stopping"};
  if (timeout <= milliseconds{0}) return error{errc::unavailable, where + ": no time was left"};
  if (!handle_->easy) handle_->easy = curl_easy_init();
  if (!handle_->easy) return error{errc::unavailable, "libcurl gave no handle"};
  curl_transfer transfer;
  handle_->words[0] = '\0';
  handle_->set_always(transfer);
  handle_->set_request(request, timeout);
  const auto headers = curl_headers(request);
  handle_->set(CURLOPT_HTTPHEADER, headers.get());
  const auto code = curl_easy_perform(handle_->easy);
  if (code != CURLE_OK) {
    std::string why = handle_->words[0] ? handle_->words : curl_easy_strerror(code);
    if (code == CURLE_ABORTED_BY_CALLBACK) why = "stopping";
    if (transfer.too_large)
      why = "its answer is longer than " + std::to_string(max_answer_bytes) + " bytes";
    return error{errc::unavailable, where + ": " + why};
  }
  curl_answer answer{.body = std::move(transfer.body)};
  curl_easy_getinfo(handle_->easy, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_off_t retry_after_s = 0;
  curl_easy_getinfo(handle_->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
  const auto believed = std::clamp<curl_off_t>(retry_after_s, 0, max_retry_after_ms.count() / 1000);
  answer.retry_after_ms = milliseconds{believed * 1000};
  return answer;
}

std::string http_origin(std::string_view url) {
  const auto scheme_end = url.find("://");
  if (scheme_end == url.npos) return {};
  const auto scheme = url.substr(0, scheme_end);
  if (scheme != "http" && scheme != "https") return {};
  auto host = url.substr(scheme_end + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  if (const auto at = host.rfind('@'); at != host.npos) host.remove_prefix(at + 1);
  if (host.empty()) return {};
  return std::string{scheme} + "://" + std::string{host};
}

} // namespace penstock
