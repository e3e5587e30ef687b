// Tells front ends what became of the events that they wait for.
#pragma once

#include "actors/delivery/publish_watches.hpp"
#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_stream.hpp"

#include <cstdint>
#include <vector>

namespace penstock {

/// One message a front end for all that a step settled. Not synchronised.
class publish_answers {
 public:
  explicit publish_answers(const publisher_context& context) : context_(context) {}

  /// Notes who waits for events of the stream; what is settled is answered at once.
  void await(publisher_stream& of, const await_published& request);
  /// Tells those who wait for what the lane has settled.
  void advance(publisher_stream& of, std::uint32_t lane);
  void tell(const std::vector<publish_watches::answer>& answers) const;

 private:
  const publisher_context& context_;
  std::vector<front_end_handle> front_ends_; // by the numbers that watches have of them
};

} // namespace penstock
