// What the kinds of AWS have in common in their settings.
#pragma once

#include "net/sinks/sink_key.hpp"

#include <string>
#include <vector>

namespace penstock {

struct aws_settings {
  std::string region{};
  std::string endpoint{};         ///< only to leave AWS's own
  std::string credentials_file{}; ///< the shared file, if not ~/.aws/credentials
  std::string profile{};          ///< of the shared file; empty: $AWS_PROFILE, default
  std::string metadata_url{};     ///< the instance's metadata service; empty: not asked
  std::string ca_file{};          ///< PEM; empty: the system's
};

/// `keys`, and those of the fields of `to` behind them.
std::vector<sink_key> with_aws_keys(std::vector<sink_key> keys, aws_settings& to,
                                    bool is_region_needed);

} // namespace penstock
