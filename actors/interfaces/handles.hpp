// What handles and behaviours lack in CAF.
#pragma once

#include <caf/actor_cast.hpp>
#include <caf/behavior.hpp>
#include <caf/deduce_mpi.hpp>
#include <caf/typed_actor.hpp>

#include <tuple>
#include <utility>

namespace penstock {

/// Who sent the message that is being handled, as what the interface says that sends it: CAF keeps
/// a sender without its type. A real sender that is something else drops what it does not take.
template <class Handle, class Self>
Handle sender_as(Self* self) {
  return caf::actor_cast<Handle>(self->current_sender());
}

/// A behaviour in pieces: tuples of handlers, which together are what `Handle` says.
template <class Handle, class... Handlers>
typename Handle::behavior_type whole_behavior(Handlers... pieces) {
  return std::apply(
      [](auto&&... each) { return typename Handle::behavior_type{std::move(each)...}; },
      std::tuple_cat(std::move(pieces)...));
}

/// Takes only a part of what `Handle` says: what nobody sends while the actor is as it is. All else
/// goes to the default handler.
template <class Handle, class... Fs>
typename Handle::behavior_type partial_behavior(std::tuple<Fs...> handlers) {
  using behavior_type = typename Handle::behavior_type;
  using all = typename Handle::signatures;
  static_assert((caf::detail::tl_contains<all, caf::deduce_mpi_t<Fs>>::value && ...),
                "a handler for what the interface does not have");
  return std::apply(
      [](auto&&... each) {
        return behavior_type{typename behavior_type::unsafe_init{},
                             caf::behavior{std::move(each)...}};
      },
      std::move(handlers));
}

} // namespace penstock
