// One client connection: bytes in, requests out, answers back in order.
#pragma once

#include "net/base/network.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/http_settings.hpp"
#include "net/http/lane_memory.hpp"
#include "net/http/request_parser.hpp"
#include "net/loop/event_loop.hpp"
#include "storage/base/assert.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

class session;

/// Where a session takes its requests. All calls on the loop's thread.
class request_handler {
 public:
  /// A whole request has arrived; `parser` is valid during the call. The handler opens an exchange
  /// and answers it now or later.
  virtual void on_request(session& from, const request_parser& parser) = 0;
  /// A header has arrived, and its body has not. True when the request has been refused and the
  /// connection closes after the answer.
  virtual bool on_header(session&, const request_parser&) { return false; }
  /// What arrived is not HTTP as we take it; the connection closes after the answer.
  virtual void on_bad_request(session& from, unsigned status, std::string_view detail) = 0;
  /// What is arriving would exceed max_in_flight, or (slow_client) keeps from others what they
  /// need; the connection closes after the answer.
  virtual void on_overload(session& from, shed_reason why) = 0;
  /// The connection has bytes to send at the end of the turn.
  virtual void on_output(session& from) = 0;
  /// The connection has had its share of this turn: go_on() is wanted later, once.
  virtual void on_more(session& from) = 0;
  /// The connection is closed; its object may be used again after the turn.
  virtual void on_closed(session& from) = 0;

 protected:
  ~request_handler() = default;
};

/// What all sessions of a front end share.
struct session_environment {
  event_loop& loop;
  request_handler& handler;
  http_settings settings;
  std::vector<std::string> custom_fields;
  front_end_metrics& metrics;
  std::vector<char> scratch; ///< one receive buffer for all: a session keeps only what is left over
  lane_memory& memory;
  std::uint64_t turn = 0; ///< counts the loop's turns
  std::size_t turn_work_bytes = 0; ///< what all connections had parsed in this one

  void end_turn() {
    ++turn;
    turn_work_bytes = 0;
  }
  /// Whoever has much to be parsed is to wait for a later turn.
  bool turn_is_used_up() const { return turn_work_bytes >= max_lane_work_bytes; }

  static constexpr std::size_t receive_bytes = 64 << 10;
  /// Read at once when memory is scarce: what was read must be kept.
  static constexpr std::size_t scarce_receive_bytes = 4 << 10;
  /// What a connection may have parsed in a turn, in bytes (see session::note_work). A request that
  /// has begun is finished.
  static constexpr std::size_t max_turn_work_bytes = 256 << 10;
  /// The same of all together, about a millisecond. Beyond it, who has much waits for a later turn, in
  /// the order of coming; so a turn is short for those who have little, however many send much.
  static constexpr std::size_t max_lane_work_bytes = 128 << 10;
  static constexpr std::size_t little_bytes = 4 << 10;
  /// No further request is parsed while answers of so many bytes are unsent or expected.
  static constexpr std::size_t max_unsent_bytes = 128 << 10;
};

/// Objects are used again and again: a reference from a request under way is the pointer and the
/// generation, which changes at each close. Memory: what is left over of a request that is not
/// all there (at most a header and a body, by the settings) and answers not yet taken by the
/// socket (at most max_pipeline of them, and max_unsent_bytes and one); while any is unsent, nothing
/// more is read. All of it is in the lane's ledger.
///
/// What is read (phase), each with a deadline of its own:
///
///             first byte           its header is whole
///   ┌─> idle ───────────> header ───────────────────────> body
///   │     ^                  │ the request is whole         │
///   │     └──────────────────┴──────────────────────────────┘
///   │ open()                 │ wrong, late or too much      │
///  closed <── the answer is  v                              v
///     ^       sent; input ── no more requests are taken (failed_) ──┐
///     │       has ended                                             │ the answer is sent
///     └──────────────────────── lingering <─────────────────────────┘
///
/// An idle one closes when the client ends its input, in a drain, or at its deadline. The last
/// answer of a connection (close_when_sent_) closes it, too.
class session final : public io_handler {
 public:
  explicit session(session_environment& env) : env_(env) {}
  ~session();
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  /// Takes over a connected, non-blocking socket.
  void open(int fd, const ip_address& peer, bool peer_trusted, std::uint64_t peer_client);
  void close();
  bool is_open() const { return fd_ >= 0; }
  std::uint32_t generation() const { return generation_; }

  const ip_address& peer() const { return peer_; }
  bool peer_trusted() const { return peer_trusted_; }
  std::uint64_t peer_client() const { return peer_client_; }

  // -- exchanges: requests that are not answered yet, oldest first -------------------------------

  /// Opens one and gives its number. `keep_alive` false: the connection closes after it.
  std::uint32_t open_exchange(bool keep_alive);
  /// Where to write the answer of an exchange; call end_answer() after.
  std::string& begin_answer(std::uint32_t number);
  void end_answer(std::uint32_t number);
  /// What an exchange holds until it is answered: of its request, which others count, and what its
  /// answer is expected to be.
  void hold(std::uint32_t number, std::size_t request_bytes, std::size_t answer_bytes);
  /// Work that a request made beyond its bytes, as bytes worth as much.
  void note_work(std::size_t bytes) {
    work_bytes_ += bytes;
    env_.turn_work_bytes += bytes;
  }
  /// All that is held for this connection: a part of the lane's total.
  std::size_t held_bytes() const {
    return arriving_bytes() + counted_answer_bytes_ + held_request_bytes_;
  }
  /// Of that, what is still arriving, the request that is being handled included.
  std::size_t arriving_bytes() const { return counted_input_bytes_ + counted_body_bytes_; }

  // -- called by the front end --------------------------------------------------------------------

  void on_io(std::uint32_t events) override;
  /// Sends what is there to send.
  void flush();
  /// Goes on where the last turn's share ended, whatever others had of this one: with one request,
  /// or a few that are small. False if that is not wanted any more, and nothing was done.
  bool go_on();
  /// Bytes that are held because the client sends or reads too slowly while others have no room.
  std::size_t bytes_kept_by_slowness(std::int64_t now_ns) const;
  /// Lets go of them: closes, with 503 if no answer is under way.
  void give_up_on_client();
  /// Closes or answers 408 if a deadline has passed.
  void check_deadline(std::int64_t now_ns);
  /// A drain: close when idle, and let the answers under way be the last.
  void drain();
  bool draining() const { return draining_; }

 private:
  enum class phase : std::uint8_t { idle, header, body, lingering };

  struct exchange {
    std::string answer;
    bool done = false;
    bool keep_alive = true;
    std::size_t request_bytes = 0;
    std::size_t answer_bytes = 0; // expected
  };

  static constexpr std::int64_t ns_per_ms = 1'000'000;

  static void give_back(std::string& buffer);
  bool may_read();
  bool has_share_of_turn(std::size_t wanted_bytes);
  bool must_wait(std::size_t wanted_bytes) const;
  void wait_for_turn();
  void read();
  void take(const char* data, std::size_t size, bool is_scratch);
  std::size_t parse(const char* data, std::size_t size);
  std::size_t begin_request(const char* data, std::size_t size);
  std::size_t continue_body(const char* data, std::size_t size);
  void finish_request();
  bool looks_wrong_already(const char* data, std::size_t size);
  void take_no_more();
  void reject(boost::beast::error_code ec);
  void reject(unsigned status, std::string_view detail);
  void on_end_of_input();
  void note_input();
  void note_answers();
  bool overloaded();
  void take_what_waits();
  void after_sent();
  void linger();
  void discard();
  void set_phase(phase p);
  std::size_t pending() const {
    PENSTOCK_ASSERT(done_exchanges_ <= exchanges_.size());
    return exchanges_.size() - done_exchanges_;
  }
  bool pipeline_has_room() const;
  void await_socket();

  session_environment& env_;
  int fd_ = -1;
  std::uint32_t generation_ = 0;
  ip_address peer_;
  std::uint64_t peer_client_ = 0;
  bool peer_trusted_ = false;

  phase phase_ = phase::idle;
  bool readable_ = false;    // edge-triggered: bytes may wait in the socket
  bool peer_closed_ = false; // the end of input was announced
  bool input_ended_ = false; // and reached
  bool no_more_requests_ = false;
  bool close_when_sent_ = false;
  bool failed_ = false; // closing because of bad input: unread bytes may remain
  bool output_noted_ = false;
  bool draining_ = false;
  bool served_before_ = false;
  bool in_take_ = false;
  bool deadline_moved_ = false; // it is about our answer now, not about the client's request
  bool goes_on_ = false; // on_more was called
  bool finishes_later_ = false; // a whole request is in parser_, and waits for that, too
  bool has_pass_ = false;       // it is our turn, used up by others or not
  std::int64_t deadline_ns_ = 0;
  std::int64_t phase_since_ns_ = 0;
  std::int64_t waits_since_ns_ = 0; // with goes_on_
  std::int64_t blocked_since_ns_ = 0; // the socket takes no more; 0: it does
  std::size_t sent_when_blocked_ = 0;
  std::size_t lingered_bytes_ = 0;
  std::uint64_t work_turn_ = 0; // in which…
  std::size_t work_bytes_ = 0;  // …so much was parsed
  std::size_t counted_input_bytes_ = 0;
  std::size_t counted_body_bytes_ = 0;
  std::size_t counted_answer_bytes_ = 0;
  std::size_t expected_answer_bytes_ = 0; // of exchanges that are not done
  std::size_t waiting_answer_bytes_ = 0;  // of those done behind one that is not
  std::size_t held_request_bytes_ = 0;

  std::optional<request_parser> parser_;
  std::string in_; // what is left over of a request that is not all there
  std::size_t scanned_ = 0;
  std::string out_;
  std::size_t sent_ = 0;
  std::size_t unsent_answers_ = 0; // in out_: many requests can be answered as they are read
  std::vector<exchange> exchanges_;
  std::size_t done_exchanges_ = 0;   // at the front of exchanges_, already moved to out_
  std::uint32_t first_exchange_ = 0; // number of exchanges_[0]
};

} // namespace penstock
