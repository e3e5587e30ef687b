#include "tests/fuzz/session_rig.hpp"

#include "net/http/event_body.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/http_settings.hpp"
#include "net/loop/event_loop.hpp"
#include "tests/fuzz/target.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <numeric>

namespace penstock::fuzz {

namespace {

// No field, target or body that is handed over may hold what a peer behind us could take for the
// end of a line.
bool is_line_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 ? c != 0x7f : c == '\t';
  });
}

class rig final : public request_handler {
 public:
  // One for all inputs: an actor system takes long to make.
  static rig& the() {
    static rig* one = new rig;
    return *one;
  }

  connection_outcome run(std::string_view bytes, const std::vector<std::size_t>& cuts) {
    outcome_ = {};
    environment_.end_turn();
    others_send_much_ = !cuts.empty();
    int ends[2];
    expect(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0,
           "there are sockets");
    session_.open(ends[0], {}, false, 0);
    std::size_t begin = 0;
    for (auto cut : cuts) {
      cut = std::min(cut, bytes.size());
      if (cut <= begin) continue;
      send(ends[1], bytes.substr(begin, cut - begin));
      begin = cut;
    }
    if (begin < bytes.size()) send(ends[1], bytes.substr(begin));
    if (session_.is_open()) session_.close();
    ::close(ends[1]);
    expect(memory_.total() == 0, "all bytes that were counted were counted back");
    return std::move(outcome_);
  }

  void on_request(session& from, const request_parser& parser) override {
    expect(outcome_.refused == 0, "nothing is taken after a refusal");
    const auto body = parser.body();
    // The JSON parser may read so far beyond.
    if (!body.empty()) padding_ += std::accumulate(body.end(), body.end() + json_padding_bytes, 0u);
    taken_request taken;
    const auto& head = parser.head();
    taken.method = head.method;
    taken.target = head.target;
    taken.body = body;
    taken.present = head.present;
    taken.keep_alive = parser.keep_alive();
    expect(is_line_text(head.target), "no control characters in the target");
    for (std::size_t i = 0; i < head.fields.size(); ++i)
      if (i != static_cast<std::size_t>(request_field::forwarded))
        taken.fields.emplace_back(head.fields[i]);
    for (const auto& field : head.cloud_event_fields) {
      taken.fields.emplace_back(field.name);
      taken.fields.emplace_back(field.value);
    }
    for (const auto& value : taken.fields)
      expect(is_line_text(value), "no control characters in fields");
    // Its lines are read one by one, and joined by what no line has.
    taken.fields.emplace_back(head[request_field::forwarded]);
    expect(body.size() <= rig_max_body_bytes, "no body is larger than the bound");
    outcome_.requests.push_back(std::move(taken));
    const auto exchange = from.open_exchange(parser.keep_alive());
    from.begin_answer(exchange) += "ok";
    from.end_answer(exchange);
  }
  void on_bad_request(session& from, unsigned status, std::string_view detail) override {
    expect(outcome_.refused == 0, "a connection is refused once");
    expect(status >= 400 && status < 600 && !detail.empty(), "a refusal has a status and a reason");
    outcome_.refused = status;
    const auto exchange = from.open_exchange(false);
    from.begin_answer(exchange) += "no";
    from.end_answer(exchange);
  }
  void on_overload(session& from, shed_reason) override { on_bad_request(from, 503, "overload"); }
  void on_output(session& from) override { to_flush_ = &from; }
  void on_more(session& from) override { to_go_on_ = &from; }
  void on_closed(session&) override { to_flush_ = to_go_on_ = nullptr; }

 private:
  rig() {
    http_settings settings;
    settings.max_header_bytes = rig_max_header_bytes;
    settings.max_body_bytes = rig_max_body_bytes;
    settings.max_pipeline = 1'000'000;
    environment_.settings = settings;
  }

  void send(int to, std::string_view piece) {
    if (!session_.is_open()) return;
    const auto sent = ::send(to, piece.data(), piece.size(), MSG_NOSIGNAL);
    if (sent < 0) return; // it has closed, or takes no more
    expect(static_cast<std::size_t>(sent) == piece.size(), "a piece fits into a socket");
    if (others_send_much_) environment_.turn_work_bytes = session_environment::max_lane_work_bytes;
    session_.on_io(EPOLLIN);
    while (to_flush_ || to_go_on_) {
      environment_.end_turn();
      if (auto* next = std::exchange(to_go_on_, nullptr)) next->go_on();
      if (auto* flushed = std::exchange(to_flush_, nullptr)) flushed->flush();
    }
  }

  struct quiet_config : caf::actor_system_config {
    quiet_config() {
      set("scheduler.max-threads", std::size_t{1});
      set("scheduler.policy", caf::atom("sharing"));
    }
  };

  bool others_send_much_ = false; ///< each turn is used up when the connection comes to it
  quiet_config config_;
  caf::actor_system system_{config_};
  event_loop loop_{system_, "fuzz", [] { return std::int64_t{3'600'000'000'000}; }};
  front_end_metrics metrics_;
  lane_memory memory_{1 << 30, metrics_};
  session_environment environment_{
      loop_,    *this,
      {},       {"x-client"},
      metrics_, std::vector<char>(session_environment::receive_bytes + json_padding_bytes),
      memory_};
  session session_{environment_};
  session* to_flush_ = nullptr;
  session* to_go_on_ = nullptr;
  connection_outcome outcome_;
  unsigned padding_ = 0;
};

} // namespace

connection_outcome run_connection(std::string_view bytes, const std::vector<std::size_t>& cuts) {
  return rig::the().run(bytes, cuts);
}

} // namespace penstock::fuzz
