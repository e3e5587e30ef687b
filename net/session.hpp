// One client connection: bytes in, requests out, answers back in order.
#pragma once

#include "net/event_loop.hpp"
#include "net/network.hpp"
#include "net/request_parser.hpp"
#include "net/settings.hpp"

#include "actors/metrics.hpp"

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
  /// A body that is arriving would exceed max_in_flight; the connection closes after the answer.
  virtual void on_overload(session& from) = 0;
  /// The connection has bytes to send at the end of the turn.
  virtual void on_output(session& from) = 0;
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
  std::size_t* body_bytes;   ///< bytes of unfinished bodies held by all sessions
  const std::size_t* in_flight_bytes; ///< of whole ones, on their way to the disk

  static constexpr std::size_t receive_bytes = 64 << 10;
};

/// Objects are used again and again: a reference from a request under way is the pointer and the
/// generation, which changes at each close. Memory: what is left over of a request that is not
/// all there (at most a header and a body, by the settings) and answers not yet taken by the
/// socket (at most max_pipeline of them); while any is unsent, nothing more is read.
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

  // -- called by the front end --------------------------------------------------------------------

  void on_io(std::uint32_t events) override;
  /// Sends what is there to send.
  void flush();
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
  };

  bool may_read() const;
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
  void note_body_bytes();
  bool overloaded();
  void after_sent();
  void linger();
  void discard();
  void set_phase(phase p);
  std::size_t pending() const { return exchanges_.size() - done_exchanges_; }
  bool pipeline_has_room() const {
    return pending() + unsent_answers_ < env_.settings.max_pipeline;
  }

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
  std::int64_t deadline_ns_ = 0;
  std::size_t lingered_bytes_ = 0;
  std::size_t counted_body_bytes_ = 0;

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
