// Actors on virtual time: nothing runs, and no time passes, until the test says so.
#pragma once

#include "actors/system_config.hpp"

#include <caf/scheduler/test_coordinator.hpp>

#include <chrono>

namespace penstock {

class testing_config : public system_config {
 public:
  testing_config() : system_config(1) { set("scheduler.policy", caf::atom("testing")); }
};

/// For Catch2's TEST_CASE_METHOD. `self` is the test's own actor: what is sent to it waits in its
/// mailbox until a receive.
class actor_fixture {
 public:
  actor_fixture()
      : system(config),
        scheduler(dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler())),
        self(system) {}

  // What is still queued or due would keep its actors alive for ever.
  ~actor_fixture() {
    scheduler.run();
    scheduler.clock().cancel_all();
  }

  /// Handles all messages, and those that follow from them.
  void run() { scheduler.run(); }

  /// Lets virtual time pass in steps, so that a timer set by a timer's handler fires in its turn.
  void pass(std::chrono::milliseconds time, std::chrono::milliseconds step) {
    for (; time.count() > 0; time -= step) {
      scheduler.advance_time(std::min(step, time));
      run();
    }
  }

  testing_config config;
  caf::actor_system system;
  caf::scheduler::test_coordinator& scheduler;
  caf::scoped_actor self;
};

/// Takes the next message of type T out of the mailbox of `self`; false when there is none.
template <class T>
bool take(caf::scoped_actor& self, T& into) {
  bool taken = false;
  self->receive([&](T& message) { into = std::move(message), taken = true; },
                caf::after(std::chrono::seconds(0)) >> [] {});
  return taken;
}

} // namespace penstock
