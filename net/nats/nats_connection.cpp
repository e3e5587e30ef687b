#include "net/nats/nats_connection.hpp"

#include <algorithm>
#include <optional>

namespace penstock {

std::string nats_last_error(natsStatus status) {
  natsStatus ignored;
  const char* said = nats_GetLastError(&ignored);
  std::string text = said != nullptr ? said : natsStatus_GetText(status);
  // The library puts the place in its sources first.
  if (const auto end = text.find("): "); text.starts_with('(') && end != text.npos)
    text.erase(0, end + 3);
  return text;
}

namespace {

constexpr int io_buffer_bytes = 64 * 1024;

const char* nats_or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
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

std::optional<std::string> nats_set_credentials(natsOptions* to, const nats_login& from) {
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
std::optional<std::string> nats_set_tls(natsOptions* to, const nats_login& from, bool required) {
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

nats_login_fault fault_of(const nats_login& login) {
  if (login.cert_file.empty() != login.key_file.empty())
    return {login.key_file.empty() ? "key_file" : "cert_file",
            "is missing: cert_file and key_file go together"};
  if (!login.password.empty() && login.username.empty())
    return {"username", "is missing, for there is a password"};
  return {};
}

result<nats_ptr<natsConnection>> connect_to_nats(const nats_server& server, const nats_login& login,
                                                 const std::string& client_name,
                                                 nats_patience patience) {
  const auto unavailable = [](std::string why) { return error{errc::unavailable, std::move(why)}; };
  natsOptions* made = nullptr;
  if (auto status = natsOptions_Create(&made); status != NATS_OK)
    return unavailable(nats_last_error(status));
  const nats_ptr<natsOptions> options{made};
  const auto connect_ms = std::max<std::int64_t>(1, patience.connect_ms.count());
  auto fault = nats_first_fault({
      {"url", natsOptions_SetURL(made, server.url.c_str())},
      {"name", natsOptions_SetName(made, client_name.c_str())},
      {"timeout", natsOptions_SetTimeout(made, connect_ms)},
      {"timeout", natsOptions_SetWriteDeadline(made, patience.write_ms.count())},
      {"reconnect", natsOptions_SetAllowReconnect(made, false)},
      {"servers", natsOptions_SetIgnoreDiscoveredServers(made, true)},
      {"buffer", natsOptions_SetIOBufSize(made, io_buffer_bytes)},
      // The library's own writes to stderr.
      {"errors", natsOptions_SetErrorHandler(made, nats_ignore_error, nullptr)},
  });
  if (!fault) fault = nats_set_credentials(made, login);
  if (!fault) fault = nats_set_tls(made, login, server.tls);
  if (fault) return unavailable(*fault);
  natsConnection* connected = nullptr;
  if (auto status = natsConnection_Connect(&connected, made); status != NATS_OK)
    return unavailable(nats_connect_fault(status));
  return nats_ptr<natsConnection>{connected};
}

} // namespace penstock
