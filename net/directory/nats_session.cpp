#include "net/directory/nats_session.hpp"

#include <algorithm>

namespace penstock {

namespace {

using session_clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* kv_operation = "KV-Operation";

error session_error(std::string why) {
  return {errc::unavailable, std::move(why)};
}

std::string stream_of(const nats_bucket& bucket) {
  return "KV_" + bucket.name;
}

std::string why_no_bucket(const std::string& name, natsStatus status) {
  const auto said = status == NATS_NO_RESPONDERS || status == NATS_TIMEOUT
                        ? std::string{natsStatus_GetText(status)}
                        : nats_last_error(status);
  const auto bucket = "can't use the bucket '" + name + "': ";
  if (status == NATS_NO_RESPONDERS)
    return bucket + "JetStream is not ready, or not enabled: start nats-server with 'jetstream'";
  return bucket + said;
}

const char* header_of(natsMsg* message, const char* name) {
  const char* value = nullptr;
  return natsMsgHeader_Get(message, name, &value) == NATS_OK ? value : nullptr;
}

// Nobody takes the subject, or its stream is another one now.
bool says_bucket_lost(natsStatus status, jsErrCode code) {
  return status == NATS_NO_RESPONDERS || code == JSStreamNotFoundErr;
}

} // namespace

// -- opening and closing --------------------------------------------------------------------------

result<std::unique_ptr<nats_session>>
nats_session::open(const nats_server& server, const nats_login& login,
                   const std::string& client_name, const buckets& wanted, std::uint32_t replicas) {
  auto connected = connect_to_nats(
      server, login, client_name, {.connect_ms = connect_timeout_ms, .write_ms = write_timeout_ms});
  if (!connected) return connected.error();
  std::unique_ptr<nats_session> made{new nats_session};
  made->connection_ = std::move(*connected);
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = setup_timeout_ms.count();
  jsCtx* context = nullptr;
  const auto status = natsConnection_JetStream(&context, made->connection_.get(), &options);
  made->context_.reset(context);
  if (status != NATS_OK) return session_error(nats_last_error(status));
  for (std::size_t i = 0; i < bucket_count; ++i) {
    made->watches_[i].stream = stream_of(wanted[i]);
    made->watches_[i].prefix = "$KV." + wanted[i].name + ".";
    if (auto found = made->find_or_make(wanted[i], replicas); !found) return found.error();
    if (auto begun = made->start_watch(i, wanted[i]); !begun) return begun.error();
  }
  return made;
}

nats_session::~nats_session() {
  // First, so that destroying the subscription writes nothing.
  if (connection_) hang_up();
}

result<void> nats_session::find_or_make(const nats_bucket& bucket, std::uint32_t replicas) {
  kvStore* found = nullptr;
  auto status = js_KeyValue(&found, context_.get(), bucket.name.c_str());
  nats_ptr<kvStore> store{found};
  if (status == NATS_OK) return {};
  if (status != NATS_NOT_FOUND) return session_error(why_no_bucket(bucket.name, status));
  kvConfig config;
  kvConfig_Init(&config);
  config.Bucket = bucket.name.c_str();
  config.Description = bucket.description.c_str();
  config.MaxValueSize = bucket.max_value_bytes;
  config.MaxBytes = bucket.max_bytes;
  config.History = bucket.history;
  config.StorageType = js_FileStorage;
  config.Replicas = static_cast<int>(replicas);
  kvStore* made = nullptr;
  status = js_CreateKeyValue(&made, context_.get(), &config);
  store.reset(made);
  if (status == NATS_OK) return {};
  const auto why = why_no_bucket(bucket.name, status);
  // Another node may have made it just now, with other settings.
  kvStore* other = nullptr;
  status = js_KeyValue(&other, context_.get(), bucket.name.c_str());
  store.reset(other);
  return status == NATS_OK ? result<void>{} : result<void>{session_error(why)};
}

result<void> nats_session::start_watch(std::size_t index, const nats_bucket& bucket) {
  natsInbox* made = nullptr;
  auto status = natsInbox_Create(&made);
  const std::string subject = made != nullptr ? made : "";
  natsInbox_Destroy(made);
  if (status == NATS_OK)
    status = nats_inbox::subscribe(inbox_, connection_.get(), subject, index,
                                   watches_[index].subscription);
  if (status != NATS_OK) return session_error("can't subscribe: " + nats_last_error(status));
  return add_consumer(index, bucket, subject);
}

// Of the kind that sends what there is, and then what comes, and says so when nothing does.
result<void> nats_session::add_consumer(std::size_t index, const nats_bucket& bucket,
                                        const std::string& subject) {
  auto& to = watches_[index];
  const auto filter = to.prefix + ">";
  jsConsumerConfig config;
  jsConsumerConfig_Init(&config);
  config.Description = bucket.description.c_str();
  config.DeliverPolicy = js_DeliverLastPerSubject;
  config.FilterSubject = filter.c_str();
  config.AckPolicy = js_AckNone;
  config.MaxDeliver = 1;
  config.DeliverSubject = subject.c_str();
  config.FlowControl = true;
  config.Heartbeat = std::chrono::nanoseconds{heartbeat_ms}.count();
  config.MemoryStorage = true;
  jsConsumerInfo* made = nullptr;
  const auto status =
      js_AddConsumer(&made, context_.get(), stream_of(bucket).c_str(), &config, nullptr, nullptr);
  const nats_ptr<jsConsumerInfo> info{made};
  if (status != NATS_OK) return session_error(why_no_bucket(bucket.name, status));
  to.untold = info->NumPending;
  to.heard_at = session_clock::now();
  return {};
}

// -- watching -------------------------------------------------------------------------------------

nats_session::heard nats_session::next(nats_change& change, milliseconds timeout) {
  if (!told_ && all_told()) {
    told_ = true;
    return heard::all_told;
  }
  if (bucket_lost_) return lose("a bucket is gone");
  if (auto got = inbox_->next(timeout)) {
    message_ = std::move(got->message);
    auto& from = watches_[got->subscription];
    from.heard_at = session_clock::now();
    const std::string_view subject = natsMsg_GetSubject(message_.get());
    return subject.starts_with(from.prefix) ? take_change(got->subscription, change)
                                            : take_status(from, message_.get());
  }
  if (inbox_->ended()) {
    const char* said = nullptr;
    const bool known = natsConnection_GetLastError(connection_.get(), &said) != NATS_OK &&
                       said != nullptr && *said != '\0';
    return lose(known ? said : "the connection is lost");
  }
  const auto now = session_clock::now();
  for (const auto& one : watches_)
    if (now - one.heard_at > max_silence_ms) return lose("the server says nothing");
  return heard::nothing;
}

// Flow control and heartbeats of JetStream's push consumers.
nats_session::heard nats_session::take_status(watch& from, natsMsg* message) {
  const char* asks = natsMsg_GetReply(message);
  if (asks == nullptr) asks = header_of(message, "Nats-Consumer-Stalled");
  if (asks != nullptr && *asks != '\0') natsConnection_Publish(connection_.get(), asks, nullptr, 0);
  const char* last = header_of(message, "Nats-Last-Consumer");
  if (last == nullptr) return heard::nothing;
  if (last != std::to_string(from.received)) return lose("messages of a watch are missing");
  from.untold = 0; // idle: there is nothing left to tell
  return heard::nothing;
}

nats_session::heard nats_session::take_change(std::size_t index, nats_change& change) {
  auto& from = watches_[index];
  jsMsgMetaData* got = nullptr;
  if (natsMsg_GetMetaData(&got, message_.get()) != NATS_OK)
    return heard::nothing; // not JetStream's
  const nats_ptr<jsMsgMetaData> meta{got};
  if (meta->Sequence.Consumer != from.received + 1) return lose("messages of a watch are missing");
  ++from.received;
  from.untold = meta->NumPending == 0 || from.untold <= 1 ? 0 : from.untold - 1;
  change.bucket = index;
  change.key = natsMsg_GetSubject(message_.get());
  change.key.remove_prefix(from.prefix.size());
  change.value = {natsMsg_GetData(message_.get()),
                  static_cast<std::size_t>(natsMsg_GetDataLength(message_.get()))};
  const char* operation = header_of(message_.get(), kv_operation);
  change.gone = operation != nullptr &&
                (std::string_view{operation} == "DEL" || std::string_view{operation} == "PURGE");
  change.revision = meta->Sequence.Stream;
  return heard::change;
}

bool nats_session::all_told() const {
  return std::all_of(watches_.begin(), watches_.end(),
                     [](const watch& one) { return one.untold == 0; });
}

nats_session::heard nats_session::lose(std::string why) {
  why_lost_ = std::move(why);
  return heard::lost;
}

// -- writing --------------------------------------------------------------------------------------

result<bool> nats_session::put(std::size_t bucket, const std::string& key, std::string_view value,
                               std::optional<std::uint64_t> last_revision) {
  natsMsg* made = nullptr;
  if (natsMsg_Create(&made, (watches_[bucket].prefix + key).c_str(), nullptr, value.data(),
                     static_cast<int>(value.size())) != NATS_OK)
    return session_error("out of memory");
  const nats_ptr<natsMsg> message{made};
  jsPubOptions options;
  jsPubOptions_Init(&options);
  if (last_revision) {
    options.ExpectLastSubjectSeq = *last_revision;
    options.ExpectNoMessage = *last_revision == 0;
  }
  return publish(made, options);
}

result<std::uint64_t> nats_session::last_revision(std::size_t bucket, const std::string& key) {
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = call_timeout_ms.count();
  jsErrCode code{};
  natsMsg* found = nullptr;
  const auto status = js_GetLastMsg(&found, context_.get(), watches_[bucket].stream.c_str(),
                                    (watches_[bucket].prefix + key).c_str(), &options, &code);
  const nats_ptr<natsMsg> message{found};
  if (status == NATS_OK) return natsMsg_GetSequence(found);
  if (status == NATS_NOT_FOUND && code != JSStreamNotFoundErr) return 0;
  return session_error(status == NATS_TIMEOUT ? "no answer in time" : nats_last_error(status));
}

result<bool> nats_session::remove(std::size_t bucket, const std::string& key,
                                  std::optional<std::uint64_t> last_revision) {
  natsMsg* made = nullptr;
  if (natsMsg_Create(&made, (watches_[bucket].prefix + key).c_str(), nullptr, nullptr, 0) !=
      NATS_OK)
    return session_error("out of memory");
  const nats_ptr<natsMsg> message{made};
  natsMsgHeader_Set(made, kv_operation, "PURGE");
  natsMsgHeader_Set(made, "Nats-Rollup", "sub");
  jsPubOptions options;
  jsPubOptions_Init(&options);
  if (last_revision) options.ExpectLastSubjectSeq = *last_revision;
  return publish(made, options);
}

result<bool> nats_session::publish(natsMsg* message, jsPubOptions& options) {
  options.MaxWait = call_timeout_ms.count();
  jsErrCode code{};
  const auto status = js_PublishMsg(nullptr, context_.get(), message, &options, &code);
  if (status == NATS_OK) return true;
  if (code == JSStreamWrongLastSequenceErr) return false;
  if (says_bucket_lost(status, code)) {
    bucket_lost_ = true;
    inbox_->wake();
  }
  return session_error(status == NATS_TIMEOUT ? "no answer in time" : nats_last_error(status));
}

} // namespace penstock
