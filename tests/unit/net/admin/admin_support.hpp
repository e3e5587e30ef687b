// The admin plane over a real socket, with the queue's part played by the test.
#pragma once

#include "actors/queue/queue_messages.hpp"
#include "actors/system_config.hpp"
#include "net/admin/admin_server.hpp"
#include "net/admin/admin_settings.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast.hpp>
#include <catch2/catch.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace penstock::admin_test {

namespace asio = boost::asio;
namespace http = boost::beast::http;

/// Notes what it is asked.
struct fake_queue {
  std::mutex mutex;
  std::vector<queue_receive> receives;
  std::vector<queue_receipts> receipts;
  std::vector<queue_replay> replays;
  bool ack_fails = false;
  std::atomic<bool> empty{false}; ///< a receive with a wait waits until it is told to stop
  std::atomic<std::size_t> stopped{0};
  std::string body = "hello";
  std::map<std::uint64_t, caf::response_promise> waiting;

  queue_delivery_ptr messages() {
    auto block = std::make_shared<event_block>();
    block->first_seq = 16;
    block->push(body, "text/plain", 0);
    auto out = std::make_shared<queue_delivery>();
    out->messages.push_back({block, 0, {16, 3}, false});
    out->next_seq = 17;
    return out;
  }

  caf::behavior behavior(caf::event_based_actor* self) {
    return {[this, self](const queue_receive& r) -> caf::result<queue_delivery_ptr> {
              const std::lock_guard hold{mutex};
              receives.push_back(r);
              if (!empty || r.wait_ms == 0) return messages();
              waiting.emplace(r.wait_id, self->make_response_promise());
              return caf::delegated<queue_delivery_ptr>{};
            },
            [this](const queue_stop_waiting& r) {
              if (auto found = waiting.extract(r.wait_id)) {
                ++stopped;
                found.mapped().deliver(queue_delivery_ptr{std::make_shared<queue_delivery>()});
              }
            },
            [this](const queue_receipts& r) {
              const std::lock_guard hold{mutex};
              receipts.push_back(r);
              queue_receipts_done out;
              out.done = r.receipts.size();
              if (ack_fails) {
                out.ok = false;
                out.why = {errc::disk_full, "no room"};
              }
              return out;
            },
            [this](const queue_replay& r) {
              const std::lock_guard hold{mutex};
              replays.push_back(r);
              return messages();
            },
            [](const queue_stats_request& r) {
              queue_stats_reply out;
              out.ok = r.stream != "elsewhere";
              out.why = {errc::not_found, "that feeds no queue"};
              out.stats = {.stream = r.stream, .depth = 5, .in_flight = 2, .oldest_ms = 1'500};
              return out;
            }};
  }
};

struct running_server {
  system_config config{1};
  caf::actor_system sys{config};
  fake_queue queue;
  node_state node;
  metrics_sources metrics;
  caf::actor actor;
  std::unique_ptr<admin_server> server;
  asio::io_context io;
  boost::beast::tcp_stream stream{io};
  boost::beast::flat_buffer buffer;

  explicit running_server(const std::string& token = "")
      : running_server{admin_settings{.listen = "127.0.0.1:0", .token = token}} {}
  explicit running_server(admin_settings settings) {
    node.tag = "abcdefgh";
    node.ready = true;
    metrics.node_name = "test";
    actor = sys.spawn([this](caf::event_based_actor* self) { return queue.behavior(self); });
    auto started = admin_server::start({std::move(settings), sys, stand_in(actor), node, metrics});
    REQUIRE(started.has_value());
    server = std::move(*started);
    connect();
  }
  ~running_server() {
    server.reset();
    caf::anon_send_exit(actor, caf::exit_reason::kill);
  }
  void connect() {
    buffer.clear();
    stream.close();
    stream.connect({asio::ip::make_address("127.0.0.1"), server->port()});
  }

  http::response<http::string_body> send(http::verb method, const std::string& target,
                                         const std::string& body = "",
                                         const std::string& token = "") {
    http::request<http::string_body> request{method, target, 11};
    request.set(http::field::host, "localhost");
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
    request.body() = body;
    request.prepare_payload();
    http::write(stream, request);
    return read();
  }
  http::response<http::string_body> read() {
    http::response<http::string_body> response;
    http::read(stream, buffer, response);
    return response;
  }
  http::response<http::string_body> get(const std::string& target) {
    return send(http::verb::get, target);
  }
  http::response<http::string_body> post(const std::string& target, const std::string& body) {
    return send(http::verb::post, target, body);
  }
};

} // namespace penstock::admin_test
