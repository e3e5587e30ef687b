#include "net/sinks/nats_diagnosis.hpp"

#include "net/sinks/nats_link.hpp"

#include <algorithm>

namespace penstock {

namespace {

constexpr int nats_stream_not_found = 10059;
constexpr int nats_not_enabled_for_account = 10039;

std::string explain_nats_stream(const jsStreamInfo& info, const std::string& stream,
                                const std::string& subject) {
  const auto* cluster = info.Cluster;
  if (cluster != nullptr && (cluster->Leader == nullptr || *cluster->Leader == '\0'))
    return "stream '" + stream + "' has no leader now: are most of its servers up?";
  std::string takes;
  for (int i = 0; info.Config != nullptr && i < info.Config->SubjectsLen; ++i)
    takes += (i == 0 ? "" : ", ") + std::string{info.Config->Subjects[i]};
  return "stream '" + stream + "' takes '" + takes + "': if '" + subject +
         "' is not among them, change 'subject' or the stream";
}

} // namespace

std::string explain_no_responders(natsConnection* connection, const std::string& stream,
                                  const std::string& subject, std::chrono::milliseconds timeout) {
  if (stream.empty())
    return "no stream takes subject '" + subject +
           "' now: create one (or is its leader being elected, or JetStream off?)";
  jsCtx* context = nullptr;
  if (natsConnection_JetStream(&context, connection, nullptr) != NATS_OK)
    return "no stream takes subject '" + subject + "' now";
  const nats_ptr<jsCtx> owned_context{context};
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = std::max<std::int64_t>(1, timeout.count());
  jsStreamInfo* info = nullptr;
  jsErrCode code{};
  const auto status = js_GetStreamInfo(&info, context, stream.c_str(), &options, &code);
  const nats_ptr<jsStreamInfo> owned_info{info};
  if (status == NATS_OK && info != nullptr) return explain_nats_stream(*info, stream, subject);
  if (code == nats_stream_not_found)
    return "there is no stream '" + stream + "': create it, with '" + subject +
           "' among its subjects";
  if (code == nats_not_enabled_for_account) return "JetStream is not enabled for this account";
  if (status == NATS_NO_RESPONDERS)
    return "JetStream is not ready, or not enabled: start nats-server with 'jetstream'";
  return "nobody takes subject '" + subject + "', and stream '" + stream +
         "' does not say why: has it a leader?";
}

} // namespace penstock
