// The kafka sink: an idempotent producer a lane, one record an event, CloudEvents in headers.
//
// Why a producer a lane. librdkafka can't take back some messages of a producer, only all of them.
// When a batch times out its messages must go, or they would be sent later, behind the publisher's
// back; with a shared producer the other lanes' messages under way would go with them and come
// twice. A client's events all go through one lane, so idempotence and order lose nothing.
//
// Why a failed producer is not used again. Order rests on the broker: it takes a producer's
// records of a partition only with the next sequence number, so what follows a failed record is
// rejected. enable.gapless.guarantee makes librdkafka stop there instead of going on with a new
// epoch, and message.timeout.ms = 0 keeps single messages from timing out between others. What was
// delivered is then a prefix in each partition. The next try has a new producer id: what the old
// one had sent without an answer may come twice, with the same penstockid.
#include "net/sinks/kafka/kafka_sink.hpp"

#include "net/sinks/kafka/kafka_outcome.hpp"
#include "net/sinks/kafka/kafka_producer.hpp"
#include "net/sinks/outgoing_form.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace penstock {

namespace {

constexpr sink_traits kafka_traits{.batch_events = 10'000, .batch_bytes = 8u << 20};

void kafka_add_header(rd_kafka_headers_t* headers, std::string_view name, std::string_view value) {
  rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                      static_cast<ssize_t>(value.size()));
}

class kafka_connection final : public sink_connection {
 public:
  explicit kafka_connection(std::shared_ptr<const kafka_shared> shared)
      : shared_{std::move(shared)}, form_{shared_->source}, producer_{shared_} {}

  delivery deliver(const sink_batch& batch, std::chrono::milliseconds timeout) override;

 private:
  kafka_ptr<rd_kafka_headers_t> headers_of(const outgoing_event& event, const sink_batch& batch);
  bool send(const sink_batch& batch, std::size_t index);
  void send_all(const sink_batch& batch, delivery& out);
  void find_refused(const sink_batch& batch, const std::string& topic, delivery& out,
                    kafka_producer::time_point deadline);
  settled_as send_alone(const sink_batch& batch, const std::string& topic, std::size_t index,
                        delivery& out, kafka_producer::time_point deadline);

  std::shared_ptr<const kafka_shared> shared_;
  outgoing_form form_;
  kafka_producer producer_;
  std::string name_; ///< of a header, used again
};

/// CloudEvents' Kafka binding: binary mode, but an event that came structured stays so.
kafka_ptr<rd_kafka_headers_t> kafka_connection::headers_of(const outgoing_event& event,
                                                           const sink_batch& batch) {
  const auto& attributes = form_.attributes(event, batch);
  kafka_ptr<rd_kafka_headers_t> out{rd_kafka_headers_new(attributes.size() + 2)};
  if (!event.content_type().empty())
    kafka_add_header(out.get(), "content-type", event.content_type());
  kafka_add_header(out.get(), "penstockid", outgoing_form::id(event, batch));
  const bool binary = std::any_of(attributes.begin(), attributes.end(),
                                  [](const auto& one) { return one.first == "specversion"; });
  if (!binary) return out;
  for (const auto& [name, value] : attributes) {
    name_.assign("ce_").append(name);
    kafka_add_header(out.get(), name_, value);
  }
  return out;
}

bool kafka_connection::send(const sink_batch& batch, std::size_t index) {
  const auto& event = batch.events[index];
  return producer_.send(index, outgoing_form::client_key(event), event.body(),
                        headers_of(event, batch));
}

/// Hands over what librdkafka takes. What it refuses by itself holds back its client.
void kafka_connection::send_all(const sink_batch& batch, delivery& out) {
  std::unordered_set<std::uint64_t> held;
  for (std::size_t i = 0; i < batch.events.size(); ++i) {
    if (!held.empty() && held.contains(batch.events[i].client())) continue;
    if (send(batch, i)) continue;
    if (!kafka_is_about_event(producer_.reports().events[i])) return;
    out.events[i] = settled_as::refused;
    if (out.refusal.empty()) out.refusal = producer_.why_failed(i);
    held.insert(batch.events[i].client());
  }
}

/// The broker refuses a whole request for one event and does not say which. So what it refused is
/// sent again one by one. The clients of events that were not delivered wait.
void kafka_connection::find_refused(const sink_batch& batch, const std::string& topic,
                                    delivery& out, kafka_producer::time_point deadline) {
  const auto first_try = producer_.reports().events;
  std::unordered_set<std::uint64_t> held;
  for (std::size_t i = 0; i < batch.events.size(); ++i) {
    if (out.events[i] == settled_as::delivered) continue;
    const auto client = batch.events[i].client();
    if (out.events[i] == settled_as::failed && kafka_is_about_event(first_try[i]) &&
        !held.contains(client)) {
      out.events[i] = send_alone(batch, topic, i, out, deadline);
      if (out.events[i] == settled_as::failed) return;
    }
    if (out.events[i] != settled_as::delivered) held.insert(client);
  }
}

settled_as kafka_connection::send_alone(const sink_batch& batch, const std::string& topic,
                                        std::size_t index, delivery& out,
                                        kafka_producer::time_point deadline) {
  if (auto fault = producer_.begin(batch.events.size(), topic); !fault.empty()) {
    out.failure = std::move(fault);
    return settled_as::failed;
  }
  const bool settled = send(batch, index) && producer_.wait(deadline);
  if (!settled) producer_.abandon();
  const auto code = producer_.reports().events[index];
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return settled_as::delivered;
  const auto how = kafka_is_about_event(code) ? settled_as::refused : settled_as::failed;
  auto& why = how == settled_as::refused ? out.refusal : out.failure;
  if (why.empty()) why = producer_.why_failed(index);
  producer_.abandon();
  return how;
}

delivery kafka_connection::deliver(const sink_batch& batch, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const auto topic = outgoing_form::fill_template(shared_->topic, batch.stream);
  const auto count = batch.events.size();
  if (shared_->stopped) return delivery::all(count, settled_as::failed, "stopped");
  if (topic == "." || topic == "..")
    return delivery::no_target(count, "'" + topic + "' can't be the name of a topic");
  if (auto fault = producer_.begin(count, topic); !fault.empty())
    return delivery::all(count, settled_as::failed, std::move(fault));
  if (auto fault = producer_.find_topic(deadline); !fault.why.empty()) {
    if (fault.scope == failure_scope::sink) producer_.abandon();
    auto failed = delivery::all(count, settled_as::failed, std::move(fault.why));
    failed.scope = outgoing_form::scope_of(shared_->topic, fault.scope);
    return failed;
  }

  auto out = delivery::all(count, settled_as::failed);
  send_all(batch, out);
  bool broken = !producer_.wait(deadline), refused = false;
  if (broken) producer_.abandon();
  const auto& reports = producer_.reports().events;
  for (std::size_t i = 0; i < count; ++i) {
    if (out.events[i] == settled_as::refused) continue;
    if (reports[i] == RD_KAFKA_RESP_ERR_NO_ERROR) {
      out.events[i] = settled_as::delivered;
    } else if (kafka_is_about_event(reports[i])) {
      refused = true;
    } else if (reports[i] != kafka_reports::none || broken) {
      broken = true;
      if (out.failure.empty()) {
        out.failure = producer_.why_failed(i);
        out.scope = outgoing_form::scope_of(shared_->topic, kafka_scope(reports[i]));
      }
    }
  }
  if (broken || refused) producer_.abandon();
  if (refused) find_refused(batch, topic, out, deadline);
  const bool held = std::ranges::find(out.events, settled_as::failed) != out.events.end();
  if (held && out.failure.empty())
    out.failure = "waits for an event of the same client that was refused";
  return out;
}

class kafka_sink final : public sink {
 public:
  explicit kafka_sink(std::shared_ptr<kafka_shared> shared) : shared_{std::move(shared)} {}
  sink_traits traits() const override { return kafka_traits; }
  std::unique_ptr<sink_connection> connect() override {
    return std::make_unique<kafka_connection>(shared_);
  }
  void stop() override { shared_->stopped = true; }

 private:
  std::shared_ptr<kafka_shared> shared_;
};

} // namespace

result<std::shared_ptr<sink>> make_kafka_sink(const kafka_sink_settings& settings,
                                              const sink_context& context) {
  auto shared = make_kafka_shared(settings, context);
  if (!shared) return shared.error();
  return std::shared_ptr<sink>{std::make_shared<kafka_sink>(std::move(*shared))};
}

} // namespace penstock
