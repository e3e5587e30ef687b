#include "net/loop/ask.hpp"

#include "actors/base/fail_fast.hpp"

namespace penstock {

namespace {

caf::behavior bridge(caf::event_based_actor* self) {
  end_process_on_exception(self);
  return {[self](const ask_job_ptr& job) { job->run(self); }};
}

} // namespace

asker::asker(caf::actor_system& sys, boost::asio::io_context& io)
    : io_{io}, sys_{sys}, bridge_{sys.spawn(bridge)} {}

asker::~asker() {
  caf::scoped_actor self{sys_};
  self->send_exit(bridge_, caf::exit_reason::user_shutdown);
  self->wait_for(bridge_);
}

} // namespace penstock
