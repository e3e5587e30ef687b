#include "actors/base/fail_fast.hpp"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <exception>

namespace penstock {

void end_process_on_exception(caf::scheduled_actor* self) {
  self->set_exception_handler([](caf::local_actor* failed, std::exception_ptr& why) -> caf::error {
    try {
      std::rethrow_exception(why);
    } catch (const std::exception& e) {
      spdlog::critical("actor {} failed: {}", failed->name(), e.what());
    } catch (...) {
      spdlog::critical("actor {} failed", failed->name());
    }
    spdlog::shutdown();
    std::_Exit(70);
  });
}

} // namespace penstock
