// The answers of one connection, in the order of its requests, until the socket has taken them.
#pragma once

#include "net/http/lane_memory.hpp"
#include "storage/base/assert.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// An exchange is a request that is not answered yet. One that is answered before an older one
/// waits behind it:
///
///   open() ──> open ──end()──> done ──> unsent ──sent()──> gone
///                                 the older ones are done
///
/// What answers hold and are expected to hold is in the lane's ledger; what requests hold others
/// count. Not synchronised.
class answer_queue {
 public:
  /// `max_done`: so many answered exchanges are kept before the queue is tidied.
  answer_queue(lane_memory& memory, std::size_t max_done) : memory_(memory), max_done_(max_done) {}

  // -- exchanges, by number -----------------------------------------------------------------------

  std::uint32_t open();
  /// Where to write its answer; call end() after.
  std::string& begin(std::uint32_t number);
  /// True when there is more to send: it was the oldest.
  bool end(std::uint32_t number);
  /// What the exchange holds until it is answered: of its request, and what its answer is expected
  /// to be.
  void hold(std::uint32_t number, std::size_t request_bytes, std::size_t answer_bytes);
  /// Exchanges whose answers are not to be sent yet.
  std::size_t pending() const {
    PENSTOCK_ASSERT(done_ <= exchanges_.size());
    return exchanges_.size() - done_;
  }
  /// Those and the answers that the socket has not taken.
  std::size_t unanswered() const { return pending() + unsent_answers_; }

  // -- bytes --------------------------------------------------------------------------------------

  /// Goes out before the next answer, and answers nothing.
  void add_interim(std::string_view text);
  bool all_sent() const { return sent_ == out_.size(); }
  std::string_view unsent() const { return std::string_view{out_}.substr(sent_); }
  /// How much of what is unsent, or was sent since nothing was, the socket has taken.
  std::size_t sent_bytes() const { return sent_; }
  /// The socket has taken so much of unsent().
  void sent(std::size_t bytes);
  /// After all_sent(): lets go of the buffer.
  void end_sending();
  /// The connection is closed: nothing is open or unsent any more.
  void clear();

  /// What is in the ledger.
  std::size_t answer_bytes() const { return counted_bytes_; }
  std::size_t request_bytes() const { return request_bytes_; }

 private:
  struct exchange {
    std::string answer;
    bool done = false;
    std::size_t request_bytes = 0;
    std::size_t answer_bytes = 0; // expected
  };

  exchange& at(std::uint32_t number);
  void note();
  void take_done();
  void tidy();

  lane_memory& memory_;
  std::size_t max_done_;
  std::vector<exchange> exchanges_;
  std::size_t done_ = 0;    // at the front of exchanges_, already moved to out_
  std::uint32_t first_ = 0; // number of exchanges_[0]
  std::string out_;
  std::size_t sent_ = 0;
  std::size_t unsent_answers_ = 0; // in out_: many requests can be answered as they are read
  std::size_t expected_bytes_ = 0; // of exchanges that are not done
  std::size_t waiting_bytes_ = 0;  // of those done behind one that is not
  std::size_t request_bytes_ = 0;
  std::size_t counted_bytes_ = 0;
};

} // namespace penstock
