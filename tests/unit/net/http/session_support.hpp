// A session on a stepped loop, with the front end's part played by the test.
#pragma once

#include "net/http/event_body.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/http_settings.hpp"
#include "net/http/session.hpp"
#include "tests/unit/net/support.hpp"

#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

namespace penstock {

/// Notes what a session hands over; answers only when told, unless `at_once` is set.
class noting_handler final : public request_handler {
 public:
  struct request {
    std::string target, body;
    std::uint32_t exchange;
  };
  std::vector<request> requests;
  std::vector<unsigned> rejected; ///< statuses of on_bad_request, 503 for on_overload
  std::string detail;
  int closed = 0;
  std::vector<session*> to_flush, to_go_on;
  std::vector<shed_reason> shed; ///< of on_overload
  std::string at_once;
  std::size_t work_bytes = 0;   ///< of each request, besides its own
  std::size_t answer_bytes = 0; ///< expected of each

  void on_request(session& from, const request_parser& parser) override {
    auto body = parser.body();
    // As the JSON parser may: every byte of the padding is read.
    if (!body.empty())
      padding_sum += std::accumulate(body.end(), body.end() + json_padding_bytes, 0);
    requests.push_back({std::string{parser.head().target}, std::string{body},
                        from.open_exchange(parser.keep_alive() && !from.draining())});
    from.note_work(work_bytes);
    if (answer_bytes > 0) from.hold(requests.back().exchange, 0, answer_bytes);
    if (!at_once.empty()) answer(from, requests.back().exchange, at_once);
  }
  void on_bad_request(session& from, unsigned status, std::string_view why) override {
    rejected.push_back(status);
    detail = why;
    answer(from, from.open_exchange(false), "bad" + std::to_string(status));
  }
  void on_overload(session& from, shed_reason why) override {
    shed.push_back(why);
    on_bad_request(from, 503, "overload");
  }
  void on_output(session& from) override { to_flush.push_back(&from); }
  void on_more(session& from) override { to_go_on.push_back(&from); }
  void on_closed(session&) override { ++closed; }

  void answer(session& to, std::uint32_t exchange, std::string_view text) {
    to.begin_answer(exchange) += text;
    to.end_answer(exchange);
  }
  /// As at the end of a turn.
  void flush() {
    for (std::size_t i = 0; i < to_flush.size(); ++i)
      to_flush[i]->flush();
    to_flush.clear();
  }

  int padding_sum = 0;
};

class session_fixture : public stepped_loop {
 public:
  noting_handler handler;
  front_end_metrics metrics;
  std::optional<lane_memory> memory;
  std::unique_ptr<session_environment> env;
  std::unique_ptr<session> s;

  session_fixture() {
    http_settings settings;
    settings.max_header_bytes = 1'000;
    settings.max_body_bytes = 100'000;
    settings.max_pipeline = 4;
    memory.emplace(settings.max_in_flight_bytes, metrics);
    env.reset(new session_environment{
        loop,
        handler,
        settings,
        {},
        metrics,
        std::vector<char>(session_environment::receive_bytes + json_padding_bytes),
        *memory});
    s = std::make_unique<session>(*env);
  }
  ~session_fixture() {
    if (s) s->close();
    CHECK(memory->total() == memory->of(memory_part::requests)); // the others'
  }
  /// Before anything is connected.
  void limit_memory(std::size_t max_bytes) { memory.emplace(max_bytes, metrics); }
  /// What others hold changes.
  void others(std::int64_t more) {
    const auto now = memory->of(memory_part::requests);
    memory->change(memory_part::requests, now,
                   static_cast<std::size_t>(static_cast<std::int64_t>(now) + more));
  }
  std::size_t body_bytes() const { return memory->of(memory_part::bodies); }

  /// `send_buffer`: the session's socket takes about that much unread; 0: the system's default.
  test_client connect(int send_buffer = 0) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    if (send_buffer > 0)
      ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    s->open(ends[0], {}, false, 0);
    return test_client{ends[1]};
  }
  /// A turn, and what the front end does at its end.
  void turn() {
    const auto more = std::exchange(handler.to_go_on, {});
    stepped_loop::turn();
    for (auto* each : more)
      each->go_on();
    handler.flush();
    env->end_turn();
  }
  void send(test_client& from, std::string_view text) {
    REQUIRE(from.send(text) == text.size());
    turn();
  }
  void answer(std::size_t request, std::string_view text) {
    handler.answer(*s, handler.requests[request].exchange, text);
  }
  /// As the front end's tick does after that time.
  void pass(std::int64_t ns) {
    now_ns += ns;
    loop.refresh_now();
    s->check_deadline(loop.now_ns());
    handler.flush();
  }
  std::uint64_t timeouts(timeout_kind kind) {
    return metrics.timeouts[static_cast<std::size_t>(kind)].value();
  }
};

} // namespace penstock
