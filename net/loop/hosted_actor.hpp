// A CAF actor that lives on an event loop's thread.
#pragma once

#include "actors/base/fail_fast.hpp"
#include "net/loop/event_loop.hpp"

#include <cstdint>
#include <functional>

namespace penstock {

/// Where a hosted actor's messages are handled.
enum class residence : std::uint8_t {
  fixed, ///< always on its loop's thread: it owns sockets there
  /// On the loop of whoever sends to it while it is idle, else on its own: CAF's mailbox lets one
  /// thread at a time run an actor, so its state needs no lock, and asking it costs no wake-up of
  /// another thread. For actors that compute and own no descriptor.
  with_sender,
};

/// The same behaviour function that a test spawns on CAF's scheduler runs here beside the sockets
/// of `loop`: its messages are handled between I/O phases, on the thread that `residence` tells.
/// All loops outlive the actor's last message. `Base`: of a typed actor that of its handle.
template <class State, class Base = caf::event_based_actor>
class hosted_actor : public caf::stateful_actor<State, Base> {
 public:
  using base = caf::stateful_actor<State, Base>;
  using behavior_type = typename Base::behavior_type;
  using init_function = std::function<behavior_type(base*)>;

  hosted_actor(caf::actor_config& cfg, event_loop& loop, residence where, init_function init)
      : base(cfg), loop_(&loop), where_(where), init_(std::move(init)) {
    end_process_on_exception(this);
  }

  using caf::abstract_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    auto* here = where_ == residence::with_sender ? event_loop::current() : nullptr;
    base::enqueue(std::move(what), here ? here : loop_);
  }

  void launch(caf::execution_unit*, bool lazy, bool hide) override {
    base::launch(loop_, lazy, hide);
  }

  caf::resumable::subtype_t subtype() const override { return caf::resumable::io_actor; }

 protected:
  behavior_type make_behavior() override { return init_(this); }

 private:
  event_loop* loop_;
  residence where_;
  init_function init_;
};

/// Spawns `init` (a behaviour function of self and whatever the lambda holds) on `loop`.
template <class State, class Base = caf::event_based_actor>
auto spawn_hosted(caf::actor_system& sys, event_loop& loop,
                  typename hosted_actor<State, Base>::init_function init,
                  residence where = residence::fixed) {
  return sys.spawn<hosted_actor<State, Base>>(std::ref(loop), where, std::move(init));
}

} // namespace penstock
