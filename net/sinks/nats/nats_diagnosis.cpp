#include "net/sinks/nats/nats_diagnosis.hpp"

#include "net/sinks/nats/nats_link.hpp"

#include <algorithm>
#include <memory>

namespace penstock {

namespace {

constexpr int nats_stream_not_found = 10059;
constexpr int nats_not_enabled_for_account = 10039;

struct nats_names_freed {
  void operator()(jsStreamNamesList* list) const { jsStreamNamesList_Destroy(list); }
};

nats_reason explain_nats_stream(const jsStreamInfo& info, const std::string& stream,
                                const std::string& subject) {
  const auto* cluster = info.Cluster;
  if (cluster != nullptr && (cluster->Leader == nullptr || *cluster->Leader == '\0'))
    return {"stream '" + stream + "' has no leader now: are most of its servers up?"};
  std::string takes;
  bool matches = false;
  for (int i = 0; info.Config != nullptr && i < info.Config->SubjectsLen; ++i) {
    takes += (i == 0 ? "" : ", ") + std::string{info.Config->Subjects[i]};
    matches = matches || nats_subject_matches(info.Config->Subjects[i], subject);
  }
  return {"stream '" + stream + "' takes '" + takes + "': if '" + subject +
              "' is not among them, change 'subject' or the stream",
          matches ? failure_scope::sink : failure_scope::missing};
}

/// When no stream is named: JetStream itself knows whether one takes the subject.
nats_reason explain_nats_subject(jsCtx* context, jsOptions& options, const std::string& subject) {
  options.Stream.Info.SubjectsFilter = subject.c_str();
  jsStreamNamesList* list = nullptr;
  jsErrCode code{};
  const auto status = js_StreamNames(&list, context, &options, &code);
  const std::unique_ptr<jsStreamNamesList, nats_names_freed> owned{list};
  const bool found = status == NATS_OK && list != nullptr && list->Count > 0;
  if (found)
    return {"stream '" + std::string{list->List[0]} + "' takes subject '" + subject +
                "' and does not answer: has it a leader?",
            failure_scope::stream};
  if (status == NATS_OK || status == NATS_NOT_FOUND)
    return {"no stream takes subject '" + subject + "' now: create one", failure_scope::missing};
  return {"no stream takes subject '" + subject +
          "' now: create one (or is its leader being elected, or JetStream off?)"};
}

} // namespace

bool nats_subject_matches(std::string_view pattern, std::string_view subject) {
  for (;;) {
    const auto want = pattern.substr(0, pattern.find('.'));
    const auto have = subject.substr(0, subject.find('.'));
    if (want == ">") return true;
    if (want != "*" && want != have) return false;
    const bool more = want.size() < pattern.size();
    if (more != (have.size() < subject.size())) return false;
    if (!more) return true;
    pattern.remove_prefix(want.size() + 1);
    subject.remove_prefix(have.size() + 1);
  }
}

nats_reason explain_no_responders(natsConnection* connection, const std::string& stream,
                                  const std::string& subject, std::chrono::milliseconds timeout) {
  jsCtx* context = nullptr;
  if (natsConnection_JetStream(&context, connection, nullptr) != NATS_OK)
    return {"no stream takes subject '" + subject + "' now"};
  const nats_ptr<jsCtx> owned_context{context};
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = std::max<std::int64_t>(1, timeout.count());
  if (stream.empty()) return explain_nats_subject(context, options, subject);
  jsStreamInfo* info = nullptr;
  jsErrCode code{};
  const auto status = js_GetStreamInfo(&info, context, stream.c_str(), &options, &code);
  const nats_ptr<jsStreamInfo> owned_info{info};
  if (status == NATS_OK && info != nullptr) return explain_nats_stream(*info, stream, subject);
  if (code == nats_stream_not_found)
    return {"there is no stream '" + stream + "': create it, with '" + subject +
            "' among its subjects"};
  if (code == nats_not_enabled_for_account) return {"JetStream is not enabled for this account"};
  if (status == NATS_NO_RESPONDERS)
    return {"JetStream is not ready, or not enabled: start nats-server with 'jetstream'"};
  return {"nobody takes subject '" + subject + "', and stream '" + stream +
          "' does not say why: has it a leader?"};
}

} // namespace penstock
