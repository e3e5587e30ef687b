// SendMessageBatch of SQS: an event a message, to standard and FIFO queues.
#include "net/sinks/aws/sqs_sink.hpp"

#include "net/base/json_text.hpp"
#include "net/sinks/aws/aws_request.hpp"
#include "net/sinks/aws/aws_results.hpp"
#include "net/sinks/aws/sqs_message.hpp"
#include "net/sinks/http/http_target.hpp"
#include "net/sinks/outgoing_form.hpp"

namespace penstock {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What the service takes; bytes are those of message bodies.
constexpr std::size_t sqs_request_messages = 10;
constexpr std::size_t sqs_request_bytes = 1u << 20;
constexpr std::uint32_t sqs_batch_messages = 10 * sqs_request_messages;

struct sqs_parts {
  std::shared_ptr<aws_service> service;
  std::string queue_url;
  std::string source;
  bool is_fifo = false;
};

class sqs_connection final : public sink_connection {
 public:
  explicit sqs_connection(std::shared_ptr<const sqs_parts> parts)
      : parts_{std::move(parts)}, aws_{parts_->service}, form_{parts_->source} {}

  delivery deliver(const sink_batch& batch, milliseconds timeout) override {
    const auto deadline = steady_clock::now() + timeout;
    const auto queue = fill_http_url(parts_->queue_url, batch.stream);
    if (!queue) return delivery::no_target(batch.events.size(), queue.error().message);
    const bool is_own = outgoing_form::names_stream(parts_->queue_url);
    if (const auto fault = queue_name_fault(*queue, parts_->is_fifo); is_own && !fault.empty())
      return delivery::no_target(batch.events.size(), fault);
    const auto encoded = encode(batch);
    const request_limits limits{.max_events = sqs_request_messages,
                                .max_bytes = sqs_request_bytes,
                                .keeps_order = parts_->is_fifo};
    const auto body_of = [&](std::span<const std::uint32_t> events) {
      return join(encoded, events, *queue);
    };
    auto out = aws_.deliver(batch, encoded, limits, deadline, body_of, read_send_message_batch);
    out.scope = outgoing_form::scope_of(parts_->queue_url, out.scope);
    if (out.scope == failure_scope::missing) out.failure = *queue + ": " + out.failure;
    return out;
  }

 private:
  // The entries without their ids, which are their places in a request.
  encoded_events encode(const sink_batch& batch) {
    encoded_events out;
    out.pieces.reserve(batch.events.size());
    std::string message;
    for (const auto& event : batch.events) {
      message.clear();
      form_.append_structured(message, event, batch);
      escape_for_sqs(message);
      encoded_events::piece piece{.begin = out.text.size(), .counted_bytes = message.size()};
      if (message.size() > sqs_request_bytes) {
        piece.refusal = "a message of " + std::to_string(message.size()) +
                        " bytes is more than the " + std::to_string(sqs_request_bytes) +
                        " that SQS takes";
      } else {
        append_entry(out.text, event, batch, message);
      }
      piece.end = out.text.size();
      out.pieces.push_back(std::move(piece));
    }
    return out;
  }

  void append_entry(std::string& out, const outgoing_event& event, const sink_batch& batch,
                    const std::string& message) const {
    out += R"(,"MessageBody":)";
    append_json_string(out, message);
    if (parts_->is_fifo) {
      out += R"(,"MessageGroupId":")" + outgoing_form::client_key(event);
      out += R"(","MessageDeduplicationId":")" + outgoing_form::id(event, batch) + batch.again;
      out += '"';
    }
    out += '}';
  }

  std::string join(const encoded_events& encoded, std::span<const std::uint32_t> events,
                   const std::string& queue) const {
    std::string out = R"({"QueueUrl":)";
    append_json_any(out, queue);
    out += R"(,"Entries":[)";
    std::size_t place = 0;
    for (const auto event : events) {
      out += R"({"Id":")" + std::to_string(place++) + '"';
      out.append(encoded.of(event)) += ',';
    }
    out.back() = ']';
    return out += '}';
  }

  std::shared_ptr<const sqs_parts> parts_;
  aws_caller aws_;
  outgoing_form form_;
};

class sqs_sink final : public sink {
 public:
  explicit sqs_sink(std::shared_ptr<const sqs_parts> parts) : parts_{std::move(parts)} {}

  // A batch of ten requests: a FIFO queue's has one event a client, and the look-ahead for others
  // is a multiple of it. A standard queue promises no order, so nothing is held back for it.
  sink_traits traits() const override {
    return {.batch_events = sqs_batch_messages,
            .batch_bytes = 512u << 10,
            .breaks_batches = parts_->is_fifo};
  }
  std::unique_ptr<sink_connection> connect() override {
    return std::make_unique<sqs_connection>(parts_);
  }
  void stop() override { *parts_->service->stopping = true; }

 private:
  std::shared_ptr<const sqs_parts> parts_;
};

} // namespace

result<std::shared_ptr<sink>> make_sqs_sink(const sqs_sink_settings& settings,
                                            const sink_context& context) {
  const auto origin = http_origin(settings.queue_url);
  if (origin.empty())
    return error{errc::config, "sinks." + context.name +
                                   ".queue_url: write the queue's URL, "
                                   "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"};
  if (const auto why = http_pattern_fault(settings.queue_url); !why.empty())
    return error{errc::config, "sinks." + context.name + ".queue_url: " + why};
  auto aws = settings.aws;
  if (const auto region = region_of_queue(settings.queue_url); !region.empty()) aws.region = region;
  if (aws.endpoint.empty()) aws.endpoint = origin;
  auto service = make_aws_service("sqs", aws, context.name);
  if (!service) return service.error();
  auto parts = std::make_shared<sqs_parts>();
  parts->service = std::move(*service);
  parts->service->content_type = "application/x-amz-json-1.0";
  parts->service->target = "AmazonSQS.SendMessageBatch";
  parts->queue_url = settings.queue_url;
  parts->is_fifo = is_fifo_queue(settings.queue_url);
  parts->source = context.event_source();
  return std::shared_ptr<sink>{std::make_shared<sqs_sink>(std::move(parts))};
}

} // namespace penstock
