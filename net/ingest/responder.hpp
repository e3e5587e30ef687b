// What clients are told: the ingest plane's answers, written into their sessions.
#pragma once

#include "actors/base/unpublished.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/base/problem.hpp"
#include "net/http/answer.hpp"
#include "net/http/request_parser.hpp"
#include "net/http/session.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/turn_batch.hpp"
#include "storage/base/result.hpp"

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace penstock {

/// Counts each answer by its status; what became of a request, where the caller does not. A client
/// that has gone is told nothing. Not synchronised.
class responder {
 public:
  explicit responder(lane_context& lane) : lane_(lane) {}

  /// Once a second, for the Date line.
  void set_time(std::time_t now) { writer_.set_time(now); }
  const answer_writer& writer() const { return writer_; }

  // -- requests that are answered as they come ----------------------------------------------------

  void answer_now(session& from, const request_parser& parser, const problem& what,
                  std::uint32_t retry_after_s = 0, std::string_view allow = {});
  /// Of a request that is not all there.
  void answer_and_close(session& from, const problem& what, std::uint32_t retry_after_s = 0);
  /// /livez and /readyz.
  void answer_health(session& from, const request_parser& parser, std::string_view path,
                     std::string_view query);

  // -- requests that waited -----------------------------------------------------------------------

  bool still_there(const waiting_request& r) const {
    return r.from && r.from->generation() == r.generation;
  }
  answer_context context_of(const waiting_request& r) const;
  /// `write(std::string& out)` appends the answer; it is not called for a client that has gone.
  template <class Write>
  void answer(waiting_request& r, unsigned status, Write&& write);
  void answer_problem(waiting_request& r, const problem& what, std::uint32_t retry_after_s = 0);
  /// Nothing of the request is stored: because of what it is, its client's quota, or our capacity.
  void answer_not_taken(waiting_request& r, const request_details* details);
  /// 202: the batch is stored, or will be under the ids that it has.
  void answer_accepted(const turn_batch& batch, waiting_request& r);
  /// 202 for the events from `seq` on, whenever they were stored.
  void answer_stored(waiting_request& r, const request_details* details, std::uint64_t seq,
                     std::string_view tag);
  /// Stored, but not where the stream promises it to be; `members` say what is stored. `has_key`: a
  /// repeat stores nothing twice.
  void answer_unpublished(waiting_request& r, std::string members, unpublished_policy policy,
                          bool has_key);
  /// The journal could not store it.
  void answer_failed(waiting_request& r, const error& why);

  /// What a client is told of the journal's failure, which is counted.
  problem not_stored(const error& why);
  /// The members of a batch's answer, without braces.
  static std::string batch_summary(const waiting_request& r, const request_details& details,
                                   std::uint64_t first_seq, std::string_view tag);
  /// The members of an answer that says what is stored, without braces.
  static std::string stored_members(const waiting_request& r, const request_details* details,
                                    std::uint64_t first_seq, std::string_view tag);

 private:
  void answer_capacity(waiting_request& r);

  lane_context& lane_;
  answer_writer writer_;
};

template <class Write>
void responder::answer(waiting_request& r, unsigned status, Write&& write) {
  r.answered = true;
  lane_.metrics.count_status(status);
  auto took_ns = lane_.loop.now_ns() - r.start_ns;
  lane_.metrics.request_us.observe(static_cast<std::uint64_t>(took_ns / 1000));
  if (!still_there(r)) return;
  write(r.from->begin_answer(r.exchange));
  r.from->end_answer(r.exchange);
}

} // namespace penstock
