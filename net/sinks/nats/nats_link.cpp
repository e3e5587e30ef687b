#include "net/sinks/nats/nats_link.hpp"

#include <algorithm>

namespace penstock {

std::optional<std::string> nats_link::open(const nats_server& server,
                                           std::chrono::milliseconds timeout) {
  close();
  auto connected = connect_to_nats(server, login_, client_name_,
                                   {std::min(timeout, max_stall_ms), max_stall_ms});
  if (!connected) return connected.error().message;
  connection_ = std::move(*connected);
  natsInbox* inbox = nullptr;
  auto status = natsInbox_Create(&inbox);
  if (status == NATS_OK) inbox_ = std::string{inbox} + ".";
  natsInbox_Destroy(inbox);
  natsSubscription* subscribed = nullptr;
  if (status == NATS_OK)
    status = natsConnection_SubscribeSync(&subscribed, connection_.get(), (inbox_ + ">").c_str());
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
