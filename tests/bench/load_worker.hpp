// One thread of the load generator: an epoll loop over its share of the connections.
#pragma once

#include "actors/base/metrics.hpp"
#include "tests/bench/latency_histogram.hpp"
#include "tests/bench/load_requests.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <netinet/in.h>
#include <string>
#include <vector>

namespace penstock::bench {

using steady = std::chrono::steady_clock;

struct worker_options {
  sockaddr_in address{};
  std::uint32_t connections = 1;
  std::uint64_t max_requests = 0;          ///< 0: as many as the time allows
  std::chrono::nanoseconds interval{0};    ///< between intended sends; 0: closed loop
  std::chrono::nanoseconds first_after{0}; ///< the first intended send, after the start
  std::chrono::nanoseconds duration{0};
  std::chrono::nanoseconds grace{std::chrono::seconds(10)}; ///< for answers still to come
};

struct worker_result {
  latency_histogram latency;
  std::map<int, std::uint64_t> by_status;
  std::map<std::string, std::uint64_t> errors;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  steady::time_point last_answer;
};

/// Keeps every connection busy with one request at a time (closed loop), or begins requests at a
/// constant rate whatever the server does (open loop); there, latency runs from the intended time
/// of sending, so that waiting for a free connection counts. A connection that fails is opened
/// again after a short pause.
class load_worker {
 public:
  load_worker(const worker_options& options, request_source& requests);
  ~load_worker();
  load_worker(const load_worker&) = delete;
  load_worker& operator=(const load_worker&) = delete;

  /// Opens all connections and waits for them. False when the server cannot be reached.
  bool connect_all();

  /// Runs from `start` until the time or the requests are used up and the answers are in.
  void run(steady::time_point start);

  const worker_result& result() const { return result_; }

 private:
  struct connection {
    int fd = -1;
    bool busy = false;        // a request is under way
    bool wants_write = false; // epoll watches for room to write
    std::string out;
    std::size_t sent = 0;
    std::string in;
    steady::time_point intended;
  };
  struct retry {
    steady::time_point at;
    std::uint32_t index;
  };

  bool may_begin(steady::time_point now) const;
  void begin_due(steady::time_point now);
  void begin(std::uint32_t index, steady::time_point intended);
  void flush(std::uint32_t index);
  void receive(std::uint32_t index);
  void finish(std::uint32_t index, int status, bool keep_alive);
  void fail(std::uint32_t index, const char* why);
  void reopen(std::uint32_t index, steady::time_point at);
  void open_retries(steady::time_point now);
  bool open(std::uint32_t index, bool wait);
  void watch(std::uint32_t index, bool write);
  std::chrono::nanoseconds time_to_wait(steady::time_point now) const;

  const worker_options options_;
  request_source& requests_;
  int epoll_ = -1;
  std::vector<connection> connections_;
  std::deque<std::uint32_t> idle_;
  std::deque<retry> retries_;
  steady::time_point start_;
  steady::time_point end_;
  std::uint64_t begun_ = 0;
  std::uint64_t under_way_ = 0;
  worker_result result_;
};

} // namespace penstock::bench
