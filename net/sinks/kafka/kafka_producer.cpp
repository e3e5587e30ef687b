#include "net/sinks/kafka/kafka_producer.hpp"

#include "net/sinks/kafka/kafka_outcome.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

namespace penstock {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kafka_look_up_ms{100};   ///< how soon stop() is seen
constexpr milliseconds kafka_last_word_ms{500}; ///< for reports of a producer that is given up
constexpr milliseconds kafka_ask_ms{1000};      ///< for one question to the brokers
constexpr int kafka_pause_ms = 100;             ///< after one that was not answered
constexpr std::size_t max_found_topics = 1024;  ///< remembered; beyond it they are asked for again

/// Whatever fails is told by deliveries as well, so nothing here is more than a warning; and a
/// producer that stops at a gap ("FATAL"), or calls settings of ours experimental, is no news.
void kafka_log(const rd_kafka_t* producer, int level, const char* facility, const char* text) {
  const auto* reports = static_cast<const kafka_reports*>(rd_kafka_opaque(producer));
  const bool expected = level == 7 || std::string_view{facility} == "FATAL" ||
                        std::string_view{facility} == "CONFWARN";
  const auto severity = expected     ? spdlog::level::debug
                        : level <= 4 ? spdlog::level::warn
                                     : spdlog::level::info;
  spdlog::log(severity, "sink {}: librdkafka: {}: {}", reports->shared->name, facility, text);
}

void kafka_on_report(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& reports = *static_cast<kafka_reports*>(opaque);
  reports.events[reinterpret_cast<std::uintptr_t>(message->_private)] = message->err;
  --reports.waiting;
}

void kafka_on_trouble(rd_kafka_t* producer, int code, const char* why, void* opaque) {
  auto& reports = *static_cast<kafka_reports*>(opaque);
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) return; // each broker has said why
  if (code == RD_KAFKA_RESP_ERR__FATAL) {
    std::array<char, 512> text{};
    rd_kafka_fatal_error(producer, text.data(), text.size());
    reports.trouble = text.data();
  } else {
    reports.trouble = why;
  }
}

} // namespace

kafka_producer::kafka_producer(std::shared_ptr<const kafka_shared> shared)
    : shared_{std::move(shared)}, reports_{std::make_unique<kafka_reports>()} {
  reports_->shared = shared_.get();
}

std::string kafka_producer::begin(std::size_t events, const std::string& topic) {
  reports_->events.assign(events, kafka_reports::none);
  reports_->waiting = 0;
  if (!producer_) {
    reports_->trouble.clear();
    kafka_ptr<rd_kafka_conf_t> conf{rd_kafka_conf_dup(shared_->conf.get())};
    rd_kafka_conf_set_log_cb(conf.get(), kafka_log);
    rd_kafka_conf_set_dr_msg_cb(conf.get(), kafka_on_report);
    rd_kafka_conf_set_error_cb(conf.get(), kafka_on_trouble);
    rd_kafka_conf_set_opaque(conf.get(), reports_.get());
    std::array<char, 512> why{};
    producer_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), why.data(), why.size()));
    if (!producer_) return std::string{"librdkafka can't start: "} + why.data();
    (void)conf.release(); // the producer's now
    rd_kafka_set_log_queue(producer_.get(), nullptr);
  }
  if (!topic_ || topic_name_ != topic) {
    topic_.reset(rd_kafka_topic_new(producer_.get(), topic.c_str(), nullptr));
    topic_name_ = topic;
    if (!topic_) return "topic " + topic + ": " + rd_kafka_err2str(rd_kafka_last_error());
  }
  return {};
}

kafka_topic_trouble kafka_producer::find_topic(time_point deadline) {
  if (found_topics_.contains(topic_name_)) return {};
  const rd_kafka_metadata_t* told = nullptr;
  auto code = RD_KAFKA_RESP_ERR__TIMED_OUT;
  while (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left <= milliseconds{0} || shared_->stopped) {
      auto why = shared_->stopped ? "stopped" : std::string{rd_kafka_err2str(code)};
      if (!reports_->trouble.empty()) why += ": " + reports_->trouble;
      return {failure_scope::sink, std::move(why)};
    }
    code = rd_kafka_metadata(producer_.get(), 0, topic_.get(), &told,
                             static_cast<int>(std::min(left, kafka_ask_ms).count()));
    // For what a broker says of itself; also a pause, should the question fail at once.
    const bool failed = code != RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_poll(producer_.get(), failed ? kafka_pause_ms : 0);
  }
  code = told->topic_cnt == 1 ? told->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  rd_kafka_metadata_destroy(told);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (found_topics_.size() >= max_found_topics) found_topics_.clear();
    found_topics_.insert(topic_name_);
    return {};
  }
  topic_.reset(); // or librdkafka goes on asking for it
  const auto scope = kafka_scope(code);
  auto why = "topic " + topic_name_ + ": " + rd_kafka_err2str(code);
  if (scope == failure_scope::missing) why += "; create it, or let the brokers do so";
  return {scope, std::move(why)};
}

bool kafka_producer::send(std::size_t index, std::string_view key, std::string_view body,
                          kafka_ptr<rd_kafka_headers_t> headers) {
  std::array<rd_kafka_vu_t, 5> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_RKT;
  parts[0].u.rkt = topic_.get();
  parts[1].vtype = RD_KAFKA_VTYPE_KEY; // copied
  parts[1].u.mem = {const_cast<char*>(key.data()), key.size()};
  parts[2].vtype = RD_KAFKA_VTYPE_VALUE; // only read: no message flag says that it is theirs
  parts[2].u.mem = {const_cast<char*>(body.data()), body.size()};
  parts[3].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[3].u.headers = headers.get();
  parts[4].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[4].u.ptr = reinterpret_cast<void*>(static_cast<std::uintptr_t>(index));
  const kafka_ptr<rd_kafka_error_t> failed{
      rd_kafka_produceva(producer_.get(), parts.data(), parts.size())};
  if (failed) {
    reports_->events[index] = rd_kafka_error_code(failed.get());
    return false;
  }
  (void)headers.release();
  reports_->events[index] = kafka_reports::none;
  ++reports_->waiting;
  return true;
}

bool kafka_producer::wait(time_point deadline) {
  while (reports_->waiting > 0) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left <= milliseconds{0} || shared_->stopped) return false;
    rd_kafka_flush(producer_.get(), static_cast<int>(std::min(left, kafka_look_up_ms).count()));
  }
  return true;
}

void kafka_producer::abandon() {
  if (!producer_) return;
  rd_kafka_purge(producer_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  const auto deadline = steady_clock::now() + kafka_last_word_ms;
  while (reports_->waiting > 0 && steady_clock::now() < deadline)
    rd_kafka_poll(producer_.get(), 10); // acknowledgements that came just before count
  topic_.reset();
  found_topics_.clear(); // it may have failed since one is gone
  producer_.reset();
  reports_->waiting = 0;
}

std::string kafka_producer::why_failed(std::size_t index) const {
  const auto code = reports_->events[index];
  const bool unsaid = code == kafka_reports::none || code == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
                      code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
  std::string out = unsaid ? "not confirmed in time" : rd_kafka_err2str(code);
  if (shared_->stopped) out = "stopped";
  if (!reports_->trouble.empty()) out += ": " + reports_->trouble;
  return out;
}

} // namespace penstock
