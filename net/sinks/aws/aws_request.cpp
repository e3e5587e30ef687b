#include "net/sinks/aws/aws_request.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace penstock {

namespace {

struct aws_code {
  std::string_view part; ///< of the code
  aws_fault fault;
};

// The first that fits. Codes have come in several spellings over the years, hence parts of them.
constexpr std::array<aws_code, 17> aws_codes{{
    {"Throttl", aws_fault::throttled},
    {"ProvisionedThroughputExceeded", aws_fault::throttled},
    {"LimitExceeded", aws_fault::throttled},
    {"TooManyRequests", aws_fault::throttled},
    {"OverLimit", aws_fault::throttled},
    {"SlowDown", aws_fault::throttled},
    {"AccessDenied", aws_fault::credentials},
    {"ExpiredToken", aws_fault::credentials},
    {"Signature", aws_fault::credentials},
    {"UnrecognizedClient", aws_fault::credentials},
    {"InvalidClientTokenId", aws_fault::credentials},
    {"InvalidAccessKeyId", aws_fault::credentials},
    {"AuthFailure", aws_fault::credentials},
    {"MissingAuthenticationToken", aws_fault::credentials},
    {"OptInRequired", aws_fault::credentials},
    {"ResourceNotFound", aws_fault::missing},
    {"QueueDoesNotExist", aws_fault::missing},
}};

// Of keys that encrypt a stream or a queue; an operator has to repair them.
bool is_of_key_service(std::string_view code) {
  return code.starts_with("KMS") || code.starts_with("Kms");
}

bool is_region_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string aws_member(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || !value->is_string()) return {};
  return std::string{value->get_string().data(), value->get_string().size()};
}

} // namespace

result<std::shared_ptr<aws_service>> make_aws_service(const std::string& name,
                                                      const aws_settings& settings,
                                                      const std::string& sink_name) {
  const auto config = [&](const std::string& why) {
    return error{errc::config, "sinks." + sink_name + '.' + why};
  };
  if (!is_region_name(settings.region))
    return config("region: write the name of an AWS region, \"eu-west-1\" say");
  if (!settings.metadata_url.empty() && http_origin(settings.metadata_url).empty())
    return config("metadata_url: write http://ADDRESS, http://169.254.169.254 on an instance");
  auto service = std::make_shared<aws_service>();
  service->name = name;
  service->region = settings.region;
  service->url = settings.endpoint.empty() ? aws_endpoint(name, settings.region)
                                           : http_origin(settings.endpoint);
  if (service->url.empty()) return config("endpoint: write http://HOST:PORT or https://HOST");
  service->url += '/';
  service->tls = {.ca_file = settings.ca_file};
  service->credentials =
      std::make_shared<aws_credentials>(aws_key_sources::of(settings), service->stopping);
  return service;
}

std::string aws_endpoint(const std::string& service, const std::string& region) {
  const bool china = region.starts_with("cn-");
  return "https://" + service + '.' + region + (china ? ".amazonaws.com.cn" : ".amazonaws.com");
}

aws_fault aws_fault_of(std::string_view code, long status) {
  for (const auto& [part, fault] : aws_codes)
    if (code.find(part) != code.npos) return fault;
  if (code.find("NonExistentQueue") != code.npos) return aws_fault::missing;
  if (is_of_key_service(code)) return aws_fault::service;
  if (status == 401 || status == 403) return aws_fault::credentials;
  if (status == 404) return aws_fault::missing;
  if (status == 429) return aws_fault::throttled;
  return status == 400 || status == 413 ? aws_fault::request : aws_fault::service;
}

failure_scope scope_of(aws_fault fault) {
  if (fault == aws_fault::missing) return failure_scope::missing;
  return fault == aws_fault::throttled ? failure_scope::stream : failure_scope::sink;
}

request_outcome read_aws_error(const curl_answer& answer, std::size_t events, aws_fault& fault) {
  boost::json::error_code failed;
  const auto parsed = boost::json::parse(answer.body, failed);
  const auto* object = failed ? nullptr : parsed.if_object();
  std::string code, message;
  if (object) {
    code = aws_member(*object, "__type");
    code.erase(0, code.rfind('#') + 1); // npos + 1 is 0
    message = aws_member(*object, "message");
    if (message.empty()) message = aws_member(*object, "Message");
  }
  fault = aws_fault_of(code, answer.status);
  auto why = "AWS answered " + std::to_string(answer.status) + ' ' + quoted_words(code);
  // What it says of a wrong signature quotes the request's headers, the session token among them.
  if (!message.empty() && fault != aws_fault::credentials) why += ": " + quoted_words(message);
  if (fault == aws_fault::credentials) why += "; check the credentials and what they may do";
  if (fault == aws_fault::request) return request_outcome::whole_refusal(events, std::move(why));
  auto out = request_outcome::all(events, settled_as::failed, std::move(why));
  out.pause_ms = answer.retry_after_ms;
  out.scope = scope_of(fault);
  // Keys that may write to one queue need not be allowed to write to another.
  if (code.find("AccessDenied") != code.npos) out.scope = failure_scope::stream;
  if (fault == aws_fault::throttled) out.pause_ms = std::max(out.pause_ms, throttled_pause_ms);
  return out;
}

aws_caller::aws_caller(std::shared_ptr<const aws_service> service)
    : service_{std::move(service)}, curl_{service_->tls, service_->stopping} {}

std::optional<std::string> aws_caller::send(std::string_view body, std::size_t events,
                                            std::chrono::milliseconds timeout,
                                            request_outcome& failed) {
  auto key = service_->credentials->get(std::chrono::system_clock::now());
  if (!key) {
    failed = request_outcome::all(events, settled_as::failed, key.error().message);
    return std::nullopt;
  }
  curl_request request{.url = service_->url, .headers = {}, .body = body};
  request.headers.push_back("Content-Type: " + service_->content_type);
  request.headers.push_back("X-Amz-Target: " + service_->target);
  if (!key->session_token.empty())
    request.headers.push_back("X-Amz-Security-Token: " + key->session_token);
  request.signing = {service_->region, service_->name, key->id, key->secret};
  auto answer = curl_.send(request, timeout);
  if (!answer) {
    failed = request_outcome::all(events, settled_as::failed, answer.error().message);
    return std::nullopt;
  }
  if (answer->status == 200) return std::move(answer->body);
  aws_fault fault{};
  failed = read_aws_error(*answer, events, fault);
  if (fault == aws_fault::credentials) service_->credentials->forget();
  return std::nullopt;
}

} // namespace penstock
