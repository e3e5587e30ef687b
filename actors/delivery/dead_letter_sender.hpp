// What a sink refused for good, on its way to the dead letters actor.
#pragma once

#include "actors/delivery/publish_answers.hpp"
#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_stream.hpp"
#include "actors/delivery/unstored_dead_letters.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace penstock {

/// Dead letters that are logged one by one in a second; of the others their number is.
inline constexpr std::size_t max_deaths_told = 5;
/// Bodies of events that are given up at once since their target is missing.
inline constexpr std::size_t max_condemned_bytes = 4u << 20;

/// An event that died is in its lane until the dead letters actor has it. Streams that nobody
/// configured share a bound there, so they have a queue of their own and wait for each other only.
/// Not synchronised.
class dead_letter_sender {
 public:
  /// Called when letters that were sent are kept, or not: what follows is more than their sender's.
  using answer_function =
      std::function<void(unstored_dead_letters& from, const dead_letters_stored& update)>;

  dead_letter_sender(const publisher_context& context, const publish_answers& answers,
                     answer_function on_answer)
      : context_(context), answers_(answers), on_answer_(std::move(on_answer)) {}

  /// The event of the stream's lane died. Who waited for it is added to `answers`.
  void add(publisher_stream& of, std::uint32_t lane, const lane_feed::dead_event& dead,
           std::vector<publish_watches::answer>& answers);
  /// Adds what waited for too long for the stream's target: what was there when the sink last said
  /// that it is missing. Later events are tried first.
  void condemn(publisher_stream& of);
  /// Sends what may be sent now.
  void send();
  void send(unstored_dead_letters& from);
  /// Gives the letters that are kept now. None: they are to be sent again.
  std::vector<dead_letter> take_answer(unstored_dead_letters& from,
                                       const dead_letters_stored& update);
  void tell_death(const dead_letter& letter);
  /// Once a second: says how many were not told one by one.
  void tell_rest();
  /// What a stream's letters hold that are not kept.
  event_volume waiting_of(const std::string& stream) const;

 private:
  unstored_dead_letters& queue_of(const std::string& stream);
  bool is_configured(const std::string& stream) const;

  const publisher_context& context_;
  const publish_answers& answers_;
  answer_function on_answer_;
  unstored_dead_letters configured_;
  unstored_dead_letters unconfigured_;
  std::size_t deaths_ = 0; // since tell_rest()
};

} // namespace penstock
