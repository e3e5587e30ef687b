// Who we are to AWS: from the environment, the shared file or the instance's metadata service.
#pragma once

#include "net/sinks/aws/aws_settings.hpp"
#include "net/sinks/http/curl_request.hpp"
#include "storage/base/result.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

struct aws_key {
  std::string id;
  std::string secret;
  std::string session_token{}; ///< empty: a key that lasts
};

/// Where keys may come from; in this order. Empty: not asked.
struct aws_key_sources {
  aws_key environment{};
  std::string file{};          ///< the shared file
  bool file_is_chosen = false; ///< by configuration or environment, so it must be there
  std::string profile = "default";
  std::string metadata_url{};

  /// From the settings and this process's environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
  /// AWS_SESSION_TOKEN, AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE, HOME.
  static aws_key_sources of(const aws_settings& settings);
};

/// The section of a shared file. Errors: config; the text quotes nothing of the file.
result<aws_key> parse_aws_profile(std::string_view file, const std::string& profile);

/// What the metadata service says of a role; lasts until `expires`.
struct aws_role_key {
  aws_key key;
  std::chrono::system_clock::time_point expires;
};
result<aws_role_key> parse_aws_role_key(std::string_view json_text);

/// Gives keys and asks again before they expire. Shared by a sink's lanes: any thread; one that
/// has to ask makes the others wait, three requests of a second at most.
class aws_credentials {
 public:
  using time_point = std::chrono::system_clock::time_point;

  aws_credentials(aws_key_sources sources, std::shared_ptr<const std::atomic<bool>> stopping);

  /// The key to sign with at `now`. Errors: config or unavailable, saying what was looked for.
  result<aws_key> get(time_point now);
  /// AWS did not accept the key: the next get() asks anew.
  void forget();

 private:
  struct known_key {
    aws_key key;
    time_point ask_again; ///< from then on we look for a newer one,
    time_point expires;   ///< and from then on this one is of no use
  };
  result<known_key> find(time_point now);
  result<known_key> ask_instance(time_point now);
  result<std::string> ask_metadata(const std::string& method, const std::string& path,
                                   const std::string& header);

  const aws_key_sources sources_;
  std::mutex mutex_;
  std::optional<known_key> known_;
  curl_session curl_;
};

} // namespace penstock
