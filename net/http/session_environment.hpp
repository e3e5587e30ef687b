// What a session is given: who takes its requests, and what it shares with all others of its lane.
#pragma once

#include "net/base/network.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/http_settings.hpp"
#include "net/http/lane_memory.hpp"
#include "net/http/request_parser.hpp"
#include "net/loop/event_loop.hpp"

#include <cstddef>
#include <cstdint>
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
  std::uint64_t turn = 0;          ///< counts the loop's turns
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
  /// What a connection may have parsed in a turn, in bytes (see turn_share). A request that
  /// has begun is finished.
  static constexpr std::size_t max_turn_work_bytes = 256 << 10;
  /// The same of all together, about a millisecond. Beyond it, who has much waits for a later turn,
  /// in the order of coming; so a turn is short for those who have little, however many send much.
  static constexpr std::size_t max_lane_work_bytes = 128 << 10;
  static constexpr std::size_t little_bytes = 4 << 10;
  /// No further request is parsed while answers of so many bytes are unsent or expected.
  static constexpr std::size_t max_unsent_bytes = 128 << 10;
};

} // namespace penstock
