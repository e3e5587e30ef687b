// The requests that the load generator sends: made before the run, so that the run only copies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace penstock::bench {

/// Which bodies to make. A body file wins over generated ones.
struct body_options {
  std::string file;                     ///< NDJSON; each line is the body of a request, in turn
  std::uint32_t bytes = 300;            ///< of one generated event; 1 to max_event_bytes
  std::uint32_t events_per_request = 1; ///< more than one: generated NDJSON, an event a line
  static constexpr std::uint32_t max_event_bytes = 16u << 20;
};

/// One generated event of exactly `bytes` bytes: an error report or a heartbeat in JSON, its
/// fields varying with `number`. Too small for either, it is a JSON string or digit.
std::string make_event(std::uint64_t number, std::uint32_t bytes);

/// The bodies of a run, sent in a circle. Throws std::runtime_error when the file cannot be used.
std::vector<std::string> make_bodies(const body_options& options);

/// What goes before the bodies.
struct request_options {
  std::string host;
  std::string target = "/";
  std::string content_type = "application/json";
  std::vector<std::string> headers; ///< each "Name: value"
  std::string client_header;        ///< name of a header that tells clients apart; empty: none
  std::uint32_t clients = 1;        ///< how many different values it takes, in turn
};

/// Whole requests, one after another. One thread uses it at a time; threads share the bodies.
class request_source {
 public:
  /// `first` of several sources differ so that threads do not send the same sequence.
  request_source(const request_options& options, const std::vector<std::string>& bodies,
                 std::uint64_t first);

  /// Replaces `out` by the next request.
  void next(std::string& out);

 private:
  const std::vector<std::string>& bodies_;
  std::string head_;
  std::string client_header_;
  std::uint32_t clients_;
  std::uint64_t number_;
};

} // namespace penstock::bench
