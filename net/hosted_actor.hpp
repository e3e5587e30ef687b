// A CAF actor that lives on an event loop's thread.
#pragma once

#include "net/event_loop.hpp"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <exception>
#include <functional>

namespace penstock {

/// The same behaviour function that a test spawns on CAF's scheduler runs here beside the sockets
/// of `loop`: all its messages are handled on that thread, between I/O phases. The loop must
/// outlive the actor's last message. An exception in a handler means a broken invariant: the
/// process ends, so that a supervisor restarts it from what is durable.
template <class State>
class hosted_actor : public caf::stateful_actor<State> {
 public:
  using base = caf::stateful_actor<State>;
  using init_function = std::function<caf::behavior(base*)>;

  hosted_actor(caf::actor_config& cfg, event_loop& loop, init_function init)
      : base(cfg), loop_(&loop), init_(std::move(init)) {
    this->set_exception_handler([](caf::local_actor* self, std::exception_ptr& failure) {
      try {
        std::rethrow_exception(failure);
      } catch (const std::exception& e) {
        spdlog::critical("actor {} failed: {}", self->name(), e.what());
      } catch (...) {
        spdlog::critical("actor {} failed", self->name());
      }
      spdlog::shutdown();
      std::_Exit(70);
      return caf::error{};
    });
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
