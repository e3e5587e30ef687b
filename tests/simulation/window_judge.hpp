// What a client whose limit is a short fixed window was told, held to the definition.
#pragma once

#include "tests/simulation/events.hpp"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <string>
#include <vector>

namespace penstock::simulation {

/// Both ways: a window must not end early, with a whole new amount, nor late; and who was told when
/// to come again must be admitted then. For a client that asks all the time. Not synchronised.
class window_judge {
 public:
  /// `tolerance_ns`: how late answers may come.
  window_judge(std::int64_t window_ns, std::uint32_t amount, std::int64_t tolerance_ns)
      : window_ns_(window_ns), amount_(amount), tolerance_ns_(tolerance_ns) {}

  void admitted(std::int64_t now_ns, std::uint32_t units) {
    if (now_ns >= began_ns_ + window_ns_ - tolerance_ns_) {
      began_ns_ = now_ns;
      used_ = 0;
    }
    used_ += units;
    most_ = std::max(most_, used_);
    admitted_ns_ = now_ns;
    promised_ns_ = INT64_MAX;
  }
  /// And told to come again after that time.
  void refused(std::int64_t now_ns, std::int64_t retry_ns) {
    late_ns_ = std::max(late_ns_, now_ns - std::max(admitted_ns_, maybe_ns_) - window_ns_);
    late_ns_ = std::max(late_ns_, retry_ns - window_ns_);
    if (promised_ns_ != INT64_MAX) broken_ns_ = std::max(broken_ns_, now_ns - promised_ns_);
    promised_ns_ = std::min(promised_ns_, now_ns + retry_ns);
  }
  /// It may have been charged, and nobody was told.
  void unknown(std::int64_t now_ns) {
    maybe_ns_ = now_ns;
    promised_ns_ = INT64_MAX;
  }
  /// What was is not known any more: all nodes have ended.
  void begin_anew(std::int64_t now_ns) {
    began_ns_ = INT64_MIN / 2;
    used_ = 0;
    unknown(now_ns);
  }

  /// `extra`: units that a fault may have given.
  std::vector<std::string> judge(std::int64_t extra, bool is_bounded) const {
    std::vector<std::string> wrong;
    if (is_bounded && most_ > amount_ + extra)
      wrong.push_back(fmt::format("had {} units in a window of {}", most_, amount_));
    if (late_ns_ > 2 * tolerance_ns_)
      wrong.push_back(fmt::format("was refused {} ms after its window", late_ns_ / ms));
    if (broken_ns_ > 2 * tolerance_ns_)
      wrong.push_back(
          fmt::format("came again {} ms after it was to, and was refused", broken_ns_ / ms));
    return wrong;
  }

 private:
  std::int64_t window_ns_;
  std::uint32_t amount_;
  std::int64_t tolerance_ns_;
  std::int64_t began_ns_ = INT64_MIN / 2;
  std::uint32_t used_ = 0, most_ = 0;        // in the window, and in any
  std::int64_t admitted_ns_ = INT64_MIN / 2; // last
  std::int64_t maybe_ns_ = INT64_MIN / 2;
  std::int64_t promised_ns_ = INT64_MAX;     // to be admitted from then on
  std::int64_t late_ns_ = 0, broken_ns_ = 0; // the worst
};

} // namespace penstock::simulation
