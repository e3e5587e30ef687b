// A log that goes nowhere, for tests of what writes to it.
#pragma once

#include <spdlog/spdlog.h>

#include <memory>

namespace penstock::test {

/// While it lives. Other tests may have ended the log: then there is none without it.
class quiet_log {
 public:
  quiet_log() : before_(spdlog::default_logger()) {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("quiet"));
  }
  ~quiet_log() { spdlog::set_default_logger(before_); }
  quiet_log(const quiet_log&) = delete;
  quiet_log& operator=(const quiet_log&) = delete;

 private:
  std::shared_ptr<spdlog::logger> before_;
};

} // namespace penstock::test
