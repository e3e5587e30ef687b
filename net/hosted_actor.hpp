// A CAF actor that lives on an event loop's thread.
#pragma once

#include "actors/fail_fast.hpp"
#include "net/event_loop.hpp"

#include <functional>

namespace penstock {

/// The same behaviour function that a test spawns on CAF's scheduler runs here beside the sockets
/// of `loop`: all its messages are handled on that thread, between I/O phases. The loop must
/// outlive the actor's last message.
template <class State>
class hosted_actor : public caf::stateful_actor<State> {
 public:
  using base = caf::stateful_actor<State>;
  using init_function = std::function<caf::behavior(base*)>;

  hosted_actor(caf::actor_config& cfg, event_loop& loop, init_function init)
      : base(cfg), loop_(&loop), init_(std::move(init)) {
    end_process_on_exception(this);
  }

  using caf::abstract_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    base::enqueue(std::move(what), loop_);
  }

  void launch(caf::execution_unit*, bool lazy, bool hide) override {
    base::launch(loop_, lazy, hide);
  }

  caf::resumable::subtype_t subtype() const override { return caf::resumable::io_actor; }

 protected:
  caf::behavior make_behavior() override { return init_(this); }

 private:
  event_loop* loop_;
  init_function init_;
};

/// Spawns `init` (a behaviour function of self and whatever the lambda holds) on `loop`.
template <class State>
caf::actor spawn_hosted(caf::actor_system& sys, event_loop& loop,
                        typename hosted_actor<State>::init_function init) {
  return sys.spawn<hosted_actor<State>>(std::ref(loop), std::move(init));
}

} // namespace penstock
