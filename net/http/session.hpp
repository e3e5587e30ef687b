// One client connection: bytes in, requests out, answers back in order.
#pragma once

#include "net/base/network.hpp"
#include "net/http/answer_queue.hpp"
#include "net/http/request_input.hpp"
#include "net/http/request_parser.hpp"
#include "net/http/session_environment.hpp"
#include "net/http/session_steps.hpp"
#include "net/http/turn_share.hpp"
#include "net/loop/event_loop.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

/// Objects are used again and again: a reference from a request under way is the pointer and the
/// generation, which changes at each close. Memory: what is left over of a request that is not
/// all there (at most a header and a body, by the settings) and answers not yet taken by the
/// socket (at most max_pipeline of them, and max_unsent_bytes and one); while any is unsent,
/// nothing more is read. All of it is in the lane's ledger.
///
/// session_steps, answer_queue and turn_share draw its machines. An idle connection closes when the
/// client ends its input, in a drain, or at its deadline; close() leads out of each step.
class session final : public io_handler {
 public:
  explicit session(session_environment& env);
  ~session();
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  /// Takes over a connected, non-blocking socket.
  void open(int fd, const ip_address& peer, bool peer_trusted, std::uint64_t peer_client);
  void close();
  bool is_open() const { return fd_ >= 0; }
  std::uint32_t generation() const { return generation_; }

  const ip_address& peer() const { return remote_.address; }
  bool peer_trusted() const { return remote_.is_trusted; }
  std::uint64_t peer_client() const { return remote_.client; }

  // -- exchanges: requests that are not answered yet, oldest first -------------------------------

  /// Opens one and gives its number. `keep_alive` false: the connection closes after it.
  std::uint32_t open_exchange(bool keep_alive);
  /// Where to write the answer of an exchange; call end_answer() after.
  std::string& begin_answer(std::uint32_t number) { return answers_.begin(number); }
  void end_answer(std::uint32_t number);
  /// What an exchange holds until it is answered: of its request, which others count, and what its
  /// answer is expected to be.
  void hold(std::uint32_t number, std::size_t request_bytes, std::size_t answer_bytes) {
    answers_.hold(number, request_bytes, answer_bytes);
  }
  /// Work that a request made beyond its bytes, as bytes worth as much.
  void note_work(std::size_t bytes) { turn_.note_work(bytes); }
  /// All that is held for this connection: a part of the lane's total.
  std::size_t held_bytes() const {
    return arriving_bytes() + answers_.answer_bytes() + answers_.request_bytes();
  }
  /// Of that, what is still arriving, the request that is being handled included.
  std::size_t arriving_bytes() const { return input_.other_bytes() + input_.body_bytes(); }

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
  using step = session_steps::step;

  struct remote_end {
    ip_address address;
    std::uint64_t client = 0;
    bool is_trusted = false;
  };

  bool is_last_sent() const { return steps_.is_last_taken() && answers_.pending() == 0; }
  bool is_quiet() const;

  // -- input --------------------------------------------------------------------------------------

  bool may_read();
  bool may_parse() const;
  bool has_share_of_turn(std::size_t wanted_bytes);
  void wait_for_turn();
  void read();
  void take(std::string_view bytes, bool is_left_over);
  std::size_t parse(std::string_view bytes);
  std::size_t begin_request(std::string_view bytes);
  bool refuses_header(std::string_view bytes);
  std::size_t continue_body(std::string_view bytes);
  void finish_request();
  void send_continue();
  void take_no_more();
  void reject(boost::beast::error_code ec);
  void reject(unsigned status, std::string_view detail);
  void on_end_of_input();
  bool overloaded();
  void take_what_waits();

  // -- output -------------------------------------------------------------------------------------

  void after_sent();
  void linger();
  void discard();

  session_environment& env_;
  int fd_ = -1;
  std::uint32_t generation_ = 0;
  remote_end remote_;

  request_input input_;
  answer_queue answers_;
  session_steps steps_;
  turn_share turn_;

  bool readable_ = false;    // edge-triggered: bytes may wait in the socket
  bool peer_closed_ = false; // the end of input was announced
  bool parsing_ = false;     // parse() is on the stack
  bool output_noted_ = false;
  bool draining_ = false;
  std::size_t lingered_bytes_ = 0;
};

} // namespace penstock
