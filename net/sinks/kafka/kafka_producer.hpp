// One idempotent producer of librdkafka, for the batches of one lane.
#pragma once

#include "actors/delivery/sink.hpp"
#include "net/sinks/kafka/kafka_settings.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace penstock {

/// What librdkafka's callbacks write to; only the lane's own thread calls them, from within
/// kafka_producer::wait and abandon.
struct kafka_reports {
  /// Of an event that was not handed over, or about which nothing was said yet.
  static constexpr auto none = RD_KAFKA_RESP_ERR__IN_PROGRESS;

  const kafka_shared* shared = nullptr;
  std::vector<rd_kafka_resp_err_t> events; ///< by index in the batch
  std::size_t waiting = 0;
  std::string trouble; ///< what librdkafka said last: a connection refused, a login failed
};

/// Why nothing can be sent to a topic; none if `why` is empty.
struct kafka_topic_trouble {
  failure_scope scope = failure_scope::sink;
  std::string why{};
};

/// Sends messages and collects what became of them. Every message has been settled, or the
/// producer destroyed, before the memory that was given may go. One thread.
class kafka_producer {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit kafka_producer(std::shared_ptr<const kafka_shared> shared);

  /// Begins a batch: makes a producer if there is none and finds the topic. Why it can't, or "".
  std::string begin(std::size_t events, const std::string& topic);
  /// Asks the brokers whether the batch's topic is there, once for each topic: librdkafka itself
  /// would wait for it as long as it may.
  kafka_topic_trouble find_topic(time_point deadline);
  /// Hands over event `index`; `body` stays where it is, not copied, until it is settled. False:
  /// librdkafka would not take it, and reports() says why.
  bool send(std::size_t index, std::string_view key, std::string_view body,
            kafka_ptr<rd_kafka_headers_t> headers);
  /// Sends what lingers and waits until all that was handed over is settled. False: it was too late
  /// or the sink was stopped; abandon() then.
  bool wait(time_point deadline);
  /// Ends the producer, so that nothing that it still has is ever sent. What is not settled then
  /// never will be, and may have arrived.
  void abandon();

  const kafka_reports& reports() const { return *reports_; }
  /// Why event `index` failed, with what librdkafka said last.
  std::string why_failed(std::size_t index) const;

 private:
  std::shared_ptr<const kafka_shared> shared_;
  std::unique_ptr<kafka_reports> reports_;
  kafka_ptr<rd_kafka_t> producer_;
  kafka_ptr<rd_kafka_topic_t> topic_;
  std::string topic_name_;
  std::unordered_set<std::string> found_topics_;
};

} // namespace penstock
