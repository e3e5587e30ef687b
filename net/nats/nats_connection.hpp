// Connecting to a NATS server, for all who do.
#pragma once

#include "net/nats/nats_login.hpp"
#include "net/nats/nats_server.hpp"
#include "storage/base/result.hpp"

#include <nats/nats.h>

#include <chrono>
#include <memory>
#include <string>

namespace penstock {

struct nats_deleter {
  void operator()(natsOptions* p) const { natsOptions_Destroy(p); }
  void operator()(natsConnection* p) const { natsConnection_Destroy(p); }
  void operator()(natsSubscription* p) const { natsSubscription_Destroy(p); }
  void operator()(natsMsg* p) const { natsMsg_Destroy(p); }
  void operator()(jsCtx* p) const { jsCtx_Destroy(p); }
  void operator()(jsStreamInfo* p) const { jsStreamInfo_Destroy(p); }
  void operator()(jsConsumerInfo* p) const { jsConsumerInfo_Destroy(p); }
  void operator()(jsMsgMetaData* p) const { jsMsgMetaData_Destroy(p); }
  void operator()(jsPubAck* p) const { jsPubAck_Destroy(p); }
  void operator()(kvStore* p) const { kvStore_Destroy(p); }
};
template <class T>
using nats_ptr = std::unique_ptr<T, nats_deleter>;

/// How long connecting to one server, and a write that the server doesn't take, may last.
struct nats_patience {
  std::chrono::milliseconds connect_ms;
  std::chrono::milliseconds write_ms;
};

/// Connects once. A connection that breaks is closed; the library never connects again by itself.
/// `client_name`: what the server's monitoring shows. Errors: unavailable, with why, without
/// secrets, and the fix.
result<nats_ptr<natsConnection>> connect_to_nats(const nats_server& server, const nats_login& login,
                                                 const std::string& client_name,
                                                 nats_patience patience);

/// What the library says of the call that this thread made last.
std::string nats_last_error(natsStatus status);

} // namespace penstock
