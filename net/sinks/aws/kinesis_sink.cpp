// PutRecords of Kinesis Data Streams: an event a record.
#include "net/sinks/aws/kinesis_sink.hpp"

#include "net/base/base64.hpp"
#include "net/base/json_text.hpp"
#include "net/sinks/aws/aws_request.hpp"
#include "net/sinks/aws/aws_results.hpp"
#include "net/sinks/outgoing_form.hpp"

#include <algorithm>

namespace penstock {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What the service takes; bytes are those of data and keys.
constexpr std::size_t kinesis_request_records = 500;
constexpr std::size_t kinesis_request_bytes = 5u << 20;
constexpr std::size_t kinesis_record_bytes = 1u << 20;

struct kinesis_parts {
  std::shared_ptr<aws_service> service;
  std::string stream;
  std::string source;
};

// Otherwise each event would be refused, and none be at fault.
bool is_kinesis_name(std::string_view name) {
  constexpr std::size_t max_kinesis_name = 128;
  return !name.empty() && name.size() <= max_kinesis_name &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '.' || c == '-';
         });
}

class kinesis_connection final : public sink_connection {
 public:
  explicit kinesis_connection(std::shared_ptr<const kinesis_parts> parts)
      : parts_{std::move(parts)}, aws_{parts_->service}, form_{parts_->source} {}

  delivery deliver(const sink_batch& batch, milliseconds timeout) override {
    const auto deadline = steady_clock::now() + timeout;
    const auto name = outgoing_form::fill_template(parts_->stream, batch.stream);
    if (!is_kinesis_name(name))
      return delivery::no_target(batch.events.size(),
                                 "'" + name + "' can't be the name of a Kinesis stream");
    const auto encoded = encode(batch);
    const request_limits limits{.max_events = kinesis_request_records,
                                .max_bytes = kinesis_request_bytes};
    const auto body_of = [&](std::span<const std::uint32_t> events) {
      return join(encoded, events, name);
    };
    auto out = aws_.deliver(batch, encoded, limits, deadline, body_of, read_put_records);
    out.scope = outgoing_form::scope_of(parts_->stream, out.scope);
    if (out.scope == failure_scope::missing) out.failure = "stream " + name + ": " + out.failure;
    return out;
  }

 private:
  encoded_events encode(const sink_batch& batch) {
    encoded_events out;
    out.pieces.reserve(batch.events.size());
    std::string data;
    for (const auto& event : batch.events) {
      const auto key = outgoing_form::client_key(event);
      data.clear();
      form_.append_structured(data, event, batch);
      encoded_events::piece piece{.begin = out.text.size()};
      piece.counted_bytes = data.size() + key.size();
      if (piece.counted_bytes > kinesis_record_bytes) {
        piece.refusal = "a record of " + std::to_string(piece.counted_bytes) +
                        " bytes is more than the " + std::to_string(kinesis_record_bytes) +
                        " that Kinesis takes";
      } else {
        out.text += R"({"Data":")";
        append_base64(out.text, data);
        out.text += R"(","PartitionKey":")" + key + "\"}";
      }
      piece.end = out.text.size();
      out.pieces.push_back(std::move(piece));
    }
    return out;
  }

  std::string join(const encoded_events& encoded, std::span<const std::uint32_t> events,
                   const std::string& name) const {
    std::string out = R"({"StreamName":)";
    append_json_any(out, name);
    out += R"(,"Records":[)";
    for (const auto event : events)
      out.append(encoded.of(event)) += ',';
    out.back() = ']';
    return out += '}';
  }

  std::shared_ptr<const kinesis_parts> parts_;
  aws_caller aws_;
  outgoing_form form_;
};

class kinesis_sink final : public sink {
 public:
  explicit kinesis_sink(std::shared_ptr<const kinesis_parts> parts) : parts_{std::move(parts)} {}

  sink_traits traits() const override {
    return {
        .batch_events = kinesis_request_records, .batch_bytes = 1u << 20, .breaks_batches = true};
  }
  std::unique_ptr<sink_connection> connect() override {
    return std::make_unique<kinesis_connection>(parts_);
  }
  void stop() override { *parts_->service->stopping = true; }

 private:
  std::shared_ptr<const kinesis_parts> parts_;
};

} // namespace

result<std::shared_ptr<sink>> make_kinesis_sink(const kinesis_sink_settings& settings,
                                                const sink_context& context) {
  if (!is_kinesis_name(outgoing_form::fill_template(settings.stream, "stream")))
    return error{errc::config, "sinks." + context.name +
                                   ".stream: write the name of a Kinesis "
                                   "stream, of at most 128 letters, digits and '_', '.', '-'"};
  auto parts = std::make_shared<kinesis_parts>();
  auto service = make_aws_service("kinesis", settings.aws, context.name);
  if (!service) return service.error();
  parts->service = std::move(*service);
  parts->service->content_type = "application/x-amz-json-1.1";
  parts->service->target = "Kinesis_20131202.PutRecords";
  parts->stream = settings.stream;
  parts->source = context.event_source();
  return std::shared_ptr<sink>{std::make_shared<kinesis_sink>(std::move(parts))};
}

} // namespace penstock
