#include "net/sinks/aws/aws_credentials.hpp"

#include "net/base/rfc3339.hpp"
#include "net/sinks/request_outcome.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace penstock {

namespace {

using namespace std::chrono_literals;

constexpr auto file_lasts = 5min; // others may write newer keys into it
constexpr auto ask_before_expiry = 5min;
constexpr auto ask_again_after_failure = 30s;
constexpr auto metadata_timeout = 1s;
constexpr std::size_t max_credentials_file_bytes = 1u << 20;

std::string aws_environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string_view aws_trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r";
  const auto first = text.find_first_not_of(blank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

bool aws_is_complete(const aws_key& key) {
  return !key.id.empty() && !key.secret.empty();
}

std::string aws_first_line(std::string_view text) {
  return std::string{aws_trimmed(text.substr(0, text.find('\n')))};
}

result<std::string> read_credentials_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  if (!in) return error{errc::config, "can't read " + path};
  std::string text(max_credentials_file_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_credentials_file_bytes)
    return error{errc::config, path + " is too long to be a file of credentials"};
  return text;
}

std::string role_member(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || !value->is_string()) return {};
  return std::string{value->get_string().data(), value->get_string().size()};
}

} // namespace

aws_key_sources aws_key_sources::of(const aws_settings& settings) {
  aws_key_sources out;
  out.environment = {aws_environment("AWS_ACCESS_KEY_ID"), aws_environment("AWS_SECRET_ACCESS_KEY"),
                     aws_environment("AWS_SESSION_TOKEN")};
  out.file = settings.credentials_file;
  if (out.file.empty()) out.file = aws_environment("AWS_SHARED_CREDENTIALS_FILE");
  out.file_is_chosen = !out.file.empty();
  const auto home = aws_environment("HOME");
  if (out.file.empty() && !home.empty()) out.file = home + "/.aws/credentials";
  if (const auto named = aws_environment("AWS_PROFILE"); !named.empty()) out.profile = named;
  if (!settings.profile.empty()) out.profile = settings.profile;
  out.metadata_url = settings.metadata_url;
  while (out.metadata_url.ends_with('/'))
    out.metadata_url.pop_back();
  return out;
}

result<aws_key> parse_aws_profile(std::string_view file, const std::string& profile) {
  aws_key key;
  bool inside = false, found = false;
  while (!file.empty()) {
    const auto end = file.find('\n');
    const auto line = aws_trimmed(file.substr(0, end));
    file.remove_prefix(end == file.npos ? file.size() : end + 1);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      inside = aws_trimmed(line.substr(1, line.find(']') - 1)) == profile;
      found = found || inside;
      continue;
    }
    const auto equals = line.find('=');
    if (!inside || equals == line.npos) continue;
    const auto name = aws_trimmed(line.substr(0, equals));
    const std::string value{aws_trimmed(line.substr(equals + 1))};
    if (name == "aws_access_key_id") key.id = value;
    if (name == "aws_secret_access_key") key.secret = value;
    if (name == "aws_session_token") key.session_token = value;
  }
  if (!found) return error{errc::config, "has no [" + profile + "]"};
  if (!aws_is_complete(key))
    return error{errc::config, "[" + profile +
                                   "] lacks aws_access_key_id or aws_secret_access_key (other ways "
                                   "to sign in are not supported)"};
  return key;
}

result<aws_role_key> parse_aws_role_key(std::string_view json_text) {
  boost::json::error_code failed;
  const auto parsed = boost::json::parse(json_text, failed);
  const auto* object = failed ? nullptr : parsed.if_object();
  if (!object) return error{errc::unavailable, "its answer is no JSON object"};
  const auto code = role_member(*object, "Code");
  if (!code.empty() && code != "Success")
    return error{errc::unavailable, "it says " + quoted_words(code)};
  aws_role_key out{{role_member(*object, "AccessKeyId"), role_member(*object, "SecretAccessKey"),
                    role_member(*object, "Token")},
                   {}};
  const auto expires = parse_rfc3339(role_member(*object, "Expiration"));
  if (!aws_is_complete(out.key) || !expires)
    return error{errc::unavailable, "its answer lacks a key or when that expires"};
  out.expires = std::chrono::system_clock::time_point{std::chrono::milliseconds{*expires}};
  return out;
}

aws_credentials::aws_credentials(aws_key_sources sources,
                                 std::shared_ptr<const std::atomic<bool>> stopping)
    : sources_{std::move(sources)}, curl_{{}, std::move(stopping)} {}

result<aws_key> aws_credentials::get(time_point now) {
  const std::lock_guard lock{mutex_};
  if (known_ && now < known_->ask_again) return known_->key;
  auto found = find(now);
  if (found) {
    known_ = std::move(*found);
    return known_->key;
  }
  if (!known_ || now >= known_->expires) return found.error();
  known_->ask_again = now + ask_again_after_failure;
  return known_->key;
}

void aws_credentials::forget() {
  const std::lock_guard lock{mutex_};
  known_.reset();
}

result<aws_credentials::known_key> aws_credentials::find(time_point now) {
  const auto& given = sources_.environment;
  if (aws_is_complete(given)) return known_key{given, time_point::max(), time_point::max()};
  if (!given.id.empty() || !given.secret.empty())
    return error{errc::config, "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY one is set and the "
                               "other is not"};
  std::string why = "AWS_ACCESS_KEY_ID is not set";
  if (!sources_.file.empty()) {
    const auto text = read_credentials_file(sources_.file);
    if (text) {
      auto key = parse_aws_profile(*text, sources_.profile);
      if (key) return known_key{std::move(*key), now + file_lasts, time_point::max()};
      why += "; " + sources_.file + ' ' + key.error().message;
    } else {
      why += "; " + text.error().message;
    }
    if (sources_.file_is_chosen) return error{errc::config, "no AWS credentials: " + why};
  }
  if (sources_.metadata_url.empty())
    return error{errc::config, "no AWS credentials: " + why + "; metadata_url is not configured"};
  auto from_instance = ask_instance(now);
  if (from_instance) return from_instance;
  return error{errc::unavailable,
               "no AWS credentials: " + why + "; " + from_instance.error().message};
}

// Version 2 of the instance's metadata service: a token first.
result<aws_credentials::known_key> aws_credentials::ask_instance(time_point now) {
  constexpr auto roles = "/latest/meta-data/iam/security-credentials/";
  const auto token =
      ask_metadata("PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60");
  if (!token) return token.error();
  const auto pass = "X-aws-ec2-metadata-token: " + aws_first_line(*token);
  const auto role = ask_metadata("GET", roles, pass);
  if (!role) return role.error();
  const auto name = aws_first_line(*role);
  if (name.empty())
    return error{errc::config, "the instance at " + sources_.metadata_url + " has no role"};
  const auto text = ask_metadata("GET", roles + name, pass);
  if (!text) return text.error();
  const auto said = parse_aws_role_key(*text);
  if (!said) return error{said.error().code, sources_.metadata_url + ": " + said.error().message};
  if (said->expires <= now)
    return error{errc::unavailable, sources_.metadata_url + " gave a key that has expired"};
  const auto ask_again = std::max(said->expires - ask_before_expiry, now + ask_again_after_failure);
  return known_key{said->key, ask_again, said->expires};
}

result<std::string> aws_credentials::ask_metadata(const std::string& method,
                                                  const std::string& path,
                                                  const std::string& header) {
  const curl_request request{
      .method = method, .url = sources_.metadata_url + path, .headers = {header}, .no_proxy = true};
  auto answer = curl_.send(request, metadata_timeout);
  if (!answer) return answer.error();
  if (answer->status != 200)
    return error{errc::unavailable,
                 http_origin(request.url) + path + " answered " + std::to_string(answer->status)};
  return std::move(answer->body);
}

} // namespace penstock
