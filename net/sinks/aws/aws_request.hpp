// Calls of AWS services by their JSON protocols, signed.
#pragma once

#include "net/sinks/aws/aws_credentials.hpp"
#include "net/sinks/http/curl_request.hpp"
#include "net/sinks/request_outcome.hpp"
#include "storage/base/result.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace penstock {

/// How long a lane rests after a service asked for less.
inline constexpr std::chrono::milliseconds throttled_pause_ms{200};

/// A service as one sink uses it; shared by its lanes.
struct aws_service {
  std::string name; ///< as it is signed: "kinesis", "sqs"
  std::string region;
  std::string url;          ///< the endpoint, with "/" for its path
  std::string content_type; ///< "application/x-amz-json-1.1"
  std::string target;       ///< the call: "Kinesis_20131202.PutRecords"
  sink_certificates tls;
  std::shared_ptr<aws_credentials> credentials;
  std::shared_ptr<std::atomic<bool>> stopping = std::make_shared<std::atomic<bool>>(false);
};

/// Makes the service for a sink, all but content_type and target: its endpoint is the setting, or
/// AWS's own. Errors: config.
result<std::shared_ptr<aws_service>> make_aws_service(const std::string& name,
                                                      const aws_settings& settings,
                                                      const std::string& sink_name);

/// "https://SERVICE.REGION.amazonaws.com", with China's suffix for its regions.
std::string aws_endpoint(const std::string& service, const std::string& region);

/// What an error's code means for the events.
enum class aws_fault : std::uint8_t {
  throttled,   ///< later
  credentials, ///< ours are not accepted: later, with others
  missing,     ///< the stream or queue is not there: later
  request,     ///< what was sent is at fault
  service,     ///< the service's own: later
};
aws_fault aws_fault_of(std::string_view code, long status);

/// Whether it is about the one queue or stream that was called.
failure_scope scope_of(aws_fault fault);

/// The outcome of a call that failed as a whole. `fault` says which it was.
request_outcome read_aws_error(const curl_answer& answer, std::size_t events, aws_fault& fault);

/// One lane's way to a service. One thread.
class aws_caller {
 public:
  explicit aws_caller(std::shared_ptr<const aws_service> service);

  /// Sends `body`; for an answer of 200 the outcome is what `read` makes of its body.
  template <class Read>
  request_outcome call(std::string_view body, std::size_t events, std::chrono::milliseconds timeout,
                       Read&& read) {
    request_outcome failed;
    const auto answer = send(body, events, timeout, failed);
    return answer ? read(*answer) : failed;
  }

  /// Delivers a batch in as many calls as it takes. `join` makes the body of the events of a call,
  /// and `read` an outcome of the answer to it and their number.
  template <class Join, class Read>
  delivery deliver(const sink_batch& batch, const encoded_events& encoded,
                   const request_limits& limits, std::chrono::steady_clock::time_point deadline,
                   Join&& join, Read&& read) {
    return deliver_in_requests(batch, encoded, limits, [&](std::span<const std::uint32_t> events) {
      const auto body = join(events);
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      return call(body, events.size(), left,
                  [&](const std::string& answer) { return read(answer, events.size()); });
    });
  }

 private:
  /// Nothing if it failed; then `failed` says how.
  std::optional<std::string> send(std::string_view body, std::size_t events,
                                  std::chrono::milliseconds timeout, request_outcome& failed);

  std::shared_ptr<const aws_service> service_;
  curl_session curl_;
};

} // namespace penstock
