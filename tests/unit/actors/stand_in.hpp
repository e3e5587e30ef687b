// Actors of either kind in tests: doubles are plain ones, and those under test are typed.
#pragma once

#include "actors/base/compat.hpp"

namespace penstock {

/// A double as the actor that it stands for: converts to any handle. What the real one takes and
/// the double does not, the double drops.
class stand_in {
 public:
  /// A plain actor, or a test's own scoped_actor.
  template <class Actor>
  explicit stand_in(const Actor& who) : who_(caf::actor_cast<caf::strong_actor_ptr>(who)) {}

  template <class... Messages>
  operator caf::typed_actor<Messages...>() const {
    return caf::actor_cast<caf::typed_actor<Messages...>>(who_);
  }

 private:
  caf::strong_actor_ptr who_;
};

/// An actor under test as a plain one: tests send it also what its interface does not have.
template <class Handle>
caf::actor plain_actor(const Handle& under_test) {
  return caf::actor_cast<caf::actor>(under_test);
}

} // namespace penstock
