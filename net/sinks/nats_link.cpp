#include "net/sinks/nats_link.hpp"

#include <algorithm>

namespace penstock {

namespace {

constexpr int io_buffer_bytes = 64 * 1024;

const char* nats_or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

std::string nats_last_error(natsStatus status) {
  natsStatus ignored;
  const char* said = nats_GetLastError(&ignored);
  std::string text = said != nullptr ? said : natsStatus_GetText(status);
  // The library puts the place in its sources first.
  if (const auto end = text.find("): "); text.starts_with('(') && end != text.npos)
    text.erase(0, end + 3);
  return text;
}

void nats_ignore_error(natsConnection*, natsSubscription*, natsStatus, void*) {}

/// A step that sets options, and the setting that is to blame when it fails.
struct nats_step {
  const char* setting;
  natsStatus status;
};

std::optional<std::string> nats_first_fault(std::initializer_list<nats_step> steps) {
  for (const auto& step : steps)
    if (step.status != NATS_OK)
      return std::string{step.setting} + ": " + natsStatus_GetText(step.status);
  return std::nullopt;
}

std::optional<std::string> nats_set_credentials(natsOptions* to, const sink_settings& from) {
  if (!from.username.empty()) {
    const auto status =
        natsOptions_SetUserInfo(to, from.username.c_str(), nats_or_null(from.password));
    if (status != NATS_OK) return std::string{"username: "} + natsStatus_GetText(status);
  }
  if (!from.token.empty()) {
    const auto status = natsOptions_SetToken(to, from.token.c_str());
    if (status != NATS_OK) return std::string{"token: "} + natsStatus_GetText(status);
  }
  if (!from.credentials_file.empty()) {
    const auto status =
        natsOptions_SetUserCredentialsFromFiles(to, from.credentials_file.c_str(), nullptr);
    if (status != NATS_OK)
      return "credentials_file '" + from.credentials_file + "': " + natsStatus_GetText(status);
  }
  return std::nullopt;
}

/// Files also without `required`: a server may insist on TLS.
std::optional<std::string> nats_set_tls(natsOptions* to, const sink_settings& from, bool required) {
  if (auto status = natsOptions_SetSecure(to, required); status != NATS_OK)
    return "TLS: " + nats_last_error(status);
  if (!from.ca_file.empty()) {
    const auto status = natsOptions_LoadCATrustedCertificates(to, from.ca_file.c_str());
    if (status != NATS_OK)
      return "ca_file '" + from.ca_file + "' can't be used: " + nats_last_error(status);
  }
  if (!from.cert_file.empty()) {
    const auto status =
        natsOptions_LoadCertificatesChain(to, from.cert_file.c_str(), from.key_file.c_str());
    if (status != NATS_OK)
      return "cert_file '" + from.cert_file + "' and key_file '" + from.key_file +
             "' can't be used: " + nats_last_error(status);
  }
  return std::nullopt;
}

std::string nats_connect_fault(natsStatus status) {
  switch (status) {
  case NATS_NO_SERVER:
    return "can't connect: is the server running, and is this its address?";
  case NATS_TIMEOUT:
    return "can't connect: no answer in time";
  case NATS_CONNECTION_AUTH_FAILED:
    return "the server refused our credentials: check username and password, token or "
           "credentials_file";
  case NATS_SECURE_CONNECTION_REQUIRED:
    return "the server wants TLS: write tls:// in 'url'";
  case NATS_SECURE_CONNECTION_WANTED:
    return "the server has no TLS: write nats:// in 'url', or configure TLS there";
  case NATS_SSL_ERROR:
    return "TLS failed (is the server's certificate signed by 'ca_file' and does it name the "
           "host?): " +
           nats_last_error(status);
  default:
    return "can't connect: " + nats_last_error(status);
  }
}

} // namespace

std::optional<std::string> nats_link::open(const nats_server& server,
                                           std::chrono::milliseconds timeout) {
  close();
  natsOptions* made = nullptr;
  if (auto status = natsOptions_Create(&made); status != NATS_OK) return nats_last_error(status);
  const nats_ptr<natsOptions> options{made};
  const auto patience_ms = std::clamp(timeout, std::chrono::milliseconds{1}, max_stall_ms).count();
  auto fault = nats_first_fault({
      {"url", natsOptions_SetURL(made, server.url.c_str())},
      {"name", natsOptions_SetName(made, client_name_.c_str())},
      {"timeout", natsOptions_SetTimeout(made, patience_ms)},
      {"timeout", natsOptions_SetWriteDeadline(made, max_stall_ms.count())},
      {"reconnect", natsOptions_SetAllowReconnect(made, false)},
      {"servers", natsOptions_SetIgnoreDiscoveredServers(made, true)},
      {"buffer", natsOptions_SetIOBufSize(made, io_buffer_bytes)},
      // The library's own writes to stderr.
      {"errors", natsOptions_SetErrorHandler(made, nats_ignore_error, nullptr)},
  });
  if (!fault) fault = nats_set_credentials(made, settings_);
  if (!fault) fault = nats_set_tls(made, settings_, server.tls);
  if (fault) return fault;

  natsConnection* connected = nullptr;
  if (auto status = natsConnection_Connect(&connected, made); status != NATS_OK)
    return nats_connect_fault(status);
  connection_.reset(connected);
  natsInbox* inbox = nullptr;
  auto status = natsInbox_Create(&inbox);
  if (status == NATS_OK) inbox_ = std::string{inbox} + ".";
  natsInbox_Destroy(inbox);
  natsSubscription* subscribed = nullptr;
  if (status == NATS_OK)
    status = natsConnection_SubscribeSync(&subscribed, connected, (inbox_ + ">").c_str());
  subscription_.reset(subscribed);
  // Bounded by what is published: one answer to each.
  if (status == NATS_OK) status = natsSubscription_SetPendingLimits(subscribed, -1, -1);
  if (status == NATS_OK) return std::nullopt;
  close();
  return "can't subscribe to an inbox: " + nats_last_error(status);
}

void nats_link::close() {
  // First, so that destroying the subscription writes nothing.
  if (connection_) natsConnection_Close(connection_.get());
  subscription_.reset();
  connection_.reset();
}

std::size_t nats_link::max_payload_bytes() {
  const auto bytes = natsConnection_GetMaxPayload(connection_.get());
  return bytes > 0 ? static_cast<std::size_t>(bytes) : SIZE_MAX;
}

bool nats_link::publish(natsMsg* message) {
  return natsConnection_PublishMsg(connection_.get(), message) == NATS_OK;
}

void nats_link::flush(std::chrono::milliseconds timeout) {
  // Whatever came of it, the confirmations will tell.
  natsConnection_FlushTimeout(connection_.get(), std::max<std::int64_t>(1, timeout.count()));
}

nats_link::incoming nats_link::next(std::chrono::milliseconds timeout) {
  natsMsg* message = nullptr;
  const auto status = natsSubscription_NextMsg(&message, subscription_.get(),
                                               std::max<std::int64_t>(0, timeout.count()));
  return {nats_ptr<natsMsg>{message}, status == NATS_NO_RESPONDERS};
}

std::string nats_link::fault() {
  const char* said = nullptr;
  const auto status = natsConnection_GetLastError(connection_.get(), &said);
  if (status != NATS_OK && said != nullptr && *said != '\0') return said;
  if (status != NATS_OK) return natsStatus_GetText(status);
  if (natsConnection_IsClosed(connection_.get())) return "the connection is lost";
  return {};
}

} // namespace penstock
