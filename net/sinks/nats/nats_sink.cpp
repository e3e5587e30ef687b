// NATS JetStream. A batch is published in one go on the lane's own connection; JetStream confirms
// each message in the lane's inbox.
//
// Order. A link that breaks ends the batch, so that what the server stored is the beginning of what
// was published. After the first failure nothing more is published, and an event is reported as
// delivered only if no earlier one of its client failed; sending the others again does no harm, as
// the server drops what it has by Nats-Msg-Id. One hole is left, which no client can close while
// several lanes write to one stream: when the stream's leader moves without breaking our
// connection, messages may be lost that were under way to the old one, while the new one stores
// those published after them. What may be out of order is what fits into a batch;
// docs/sinks/nats.md says what smaller ones gain and cost.
//
// libnats' own asynchronous publishing is not used: js_PublishAsyncComplete says OK when publishes
// failed, waits out its time when the connection is lost, and calls back from a thread that may
// outlive the lane.
#include "net/sinks/nats/nats_sink.hpp"

#include "net/sinks/nats/nats_answer.hpp"
#include "net/sinks/nats/nats_diagnosis.hpp"
#include "net/sinks/nats/nats_link.hpp"
#include "net/sinks/nats/nats_message.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <unordered_set>

namespace penstock {

namespace {

using std::chrono::milliseconds;
using nats_clock = std::chrono::steady_clock;

constexpr milliseconds nats_slice_ms{100};     ///< how often a wait looks whether it should end
constexpr std::size_t nats_answers_every = 64; ///< messages: then failures are looked for

struct nats_plan {
  nats_sink_settings settings;
  sink_context context;
  std::vector<nats_server> servers;
  std::string client_name; ///< what the server's monitoring shows
  std::atomic<bool> stopped{false};
  std::atomic<std::size_t> lanes{0};
};

milliseconds nats_left(nats_clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - nats_clock::now());
  return std::max(left, milliseconds{0});
}

class nats_lane final : public sink_connection {
 public:
  explicit nats_lane(std::shared_ptr<nats_plan> plan)
      : plan_{std::move(plan)}, link_{plan_->settings.login, plan_->client_name},
        form_{plan_->context.event_source()}, server_{plan_->lanes++ % plan_->servers.size()} {}

  delivery deliver(const sink_batch& batch, milliseconds timeout) override;

 private:
  enum class state : std::uint8_t { unsent, sent, confirmed, failed, refused };

  bool connect();
  void leave();
  void explain();
  void publish(const sink_batch& batch);
  void await();
  bool take(const nats_link::incoming& answer);
  void fail(std::string why);
  void refuse(std::size_t index, std::string why);
  delivery settle(const sink_batch& batch);
  std::string say(std::string_view what) const;

  std::shared_ptr<nats_plan> plan_;
  nats_link link_;
  outgoing_form form_;
  std::size_t server_; ///< which of the servers we are, or were, connected to

  // Of the batch under way.
  std::uint64_t round_ = 0;
  nats_clock::time_point deadline_;
  std::string subject_;
  std::string reply_head_; ///< of this round: inbox and round
  std::vector<state> events_;
  std::size_t waiting_ = 0; ///< for so many answers
  bool no_responders_ = false;
  std::string failure_, refusal_;
  failure_scope scope_ = failure_scope::sink; ///< of failure_
};

delivery nats_lane::deliver(const sink_batch& batch, milliseconds timeout) {
  deadline_ = nats_clock::now() + timeout;
  events_.assign(batch.events.size(), state::unsent);
  waiting_ = 0;
  no_responders_ = false;
  failure_.clear();
  refusal_.clear();
  scope_ = failure_scope::sink;
  subject_ = outgoing_form::fill_template(plan_->settings.subject, batch.stream);
  if (const auto fault = nats_subject_fault(subject_); !fault.empty())
    return delivery::no_target(batch.events.size(),
                               say("the subject '" + subject_ + "' of stream '" + batch.stream +
                                   "' " + std::string{fault} +
                                   ": change the stream's name or 'subject'"));
  if (plan_->stopped)
    fail("the node is stopping");
  else if (link_.is_open() || connect()) {
    publish(batch);
    await();
  }
  if (no_responders_) explain();
  return settle(batch);
}

void nats_lane::explain() {
  if (plan_->stopped || !link_.is_open()) return fail("nobody takes subject '" + subject_ + "'");
  const auto patience_ms = std::min(nats_left(deadline_), nats_link::max_stall_ms);
  const auto reason =
      explain_no_responders(link_.connection(), plan_->settings.stream, subject_, patience_ms);
  failure_ = say(reason.why);
  scope_ = reason.scope;
  if (plan_->servers.size() > 1) leave(); // this one may be cut off from the others
}

void nats_lane::leave() {
  link_.close();
  server_ = (server_ + 1) % plan_->servers.size();
}

/// Tries each server once, from where the last connection was.
bool nats_lane::connect() {
  std::string faults;
  for (std::size_t tries = 0; tries < plan_->servers.size(); ++tries) {
    if (plan_->stopped || nats_left(deadline_).count() == 0) break;
    const auto fault = link_.open(plan_->servers[server_], nats_left(deadline_));
    if (!fault) return true;
    faults += (faults.empty() ? "" : "; ") + plan_->servers[server_].shown + ": " + *fault;
    leave();
  }
  if (faults.empty()) faults = plan_->stopped ? "the node is stopping" : "no time to connect";
  failure_ = std::move(faults);
  return false;
}

void nats_lane::publish(const sink_batch& batch) {
  reply_head_ = link_.inbox() + std::to_string(++round_) + ".";
  const auto max_bytes = link_.max_payload_bytes();
  std::unordered_set<std::uint64_t> held; // clients with an event that was refused
  for (std::size_t i = 0; i < batch.events.size(); ++i) {
    const auto& event = batch.events[i];
    if (!held.empty() && held.contains(event.client())) continue;
    const auto made = make_nats_message(form_, event, batch, subject_,
                                        reply_head_ + std::to_string(i), plan_->settings.stream);
    if (!made.message) return fail("out of memory");
    if (made.bytes > max_bytes) {
      refuse(i, std::to_string(made.bytes) +
                    " bytes with headers are more than the server's "
                    "max_payload of " +
                    std::to_string(max_bytes));
      held.insert(event.client());
      continue;
    }
    if (!link_.publish(made.message.get())) {
      const auto fault = link_.fault();
      fail(fault.empty() ? "the server takes no more" : fault);
      return leave();
    }
    events_[i] = state::sent;
    if (++waiting_ % nats_answers_every != 0) continue;
    while (take(link_.next(milliseconds{0}))) {
    }
    if (plan_->stopped) fail("the node is stopping");
    if (nats_left(deadline_).count() == 0) fail("no confirmation in time");
    if (!failure_.empty() || no_responders_) return;
  }
}

/// Until each message that was published has its answer.
void nats_lane::await() {
  if (link_.is_open() && waiting_ > 0) link_.flush(std::min(nats_left(deadline_), nats_slice_ms));
  while (link_.is_open() && waiting_ > 0) {
    const auto left = nats_left(deadline_);
    if (take(link_.next(std::min(left, nats_slice_ms)))) continue;
    auto fault = link_.fault();
    if (fault.empty() && plan_->stopped) fault = "the node is stopping";
    if (fault.empty() && left.count() == 0) fault = "no confirmation in time";
    if (fault.empty()) continue;
    // What we may not publish to is this subject.
    if (failure_.empty() && fault.find("Permissions Violation for Publish") != fault.npos)
      scope_ = failure_scope::stream;
    fail(std::move(fault));
    leave();
  }
}

/// False when nothing came.
bool nats_lane::take(const nats_link::incoming& answer) {
  if (answer.no_responders) { // the events that stay `sent` in the end are those nobody took
    no_responders_ = true;
    --waiting_;
    return true;
  }
  if (!answer.message) return false;
  std::string_view to = natsMsg_GetSubject(answer.message.get());
  const auto data = natsMsg_GetData(answer.message.get());
  const auto size = natsMsg_GetDataLength(answer.message.get());
  if (!to.starts_with(reply_head_)) return true; // late, of a round before
  to.remove_prefix(reply_head_.size());
  std::size_t index = events_.size();
  std::from_chars(to.data(), to.data() + to.size(), index);
  const auto read = read_nats_answer({data, static_cast<std::size_t>(size)});
  // It may also be of a service that listens to the subject.
  if (!read || index >= events_.size() || events_[index] != state::sent) return true;
  --waiting_;
  if (read->how == settled_as::delivered) {
    events_[index] = state::confirmed;
  } else if (read->how == settled_as::refused) {
    refuse(index, read->why);
  } else {
    events_[index] = state::failed;
    if (failure_.empty()) scope_ = read->scope;
    fail(read->why);
  }
  return true;
}

void nats_lane::fail(std::string why) {
  if (failure_.empty()) failure_ = say(why);
}

void nats_lane::refuse(std::size_t index, std::string why) {
  events_[index] = state::refused;
  if (refusal_.empty()) refusal_ = say(why);
}

delivery nats_lane::settle(const sink_batch& batch) {
  delivery out{.events = std::vector<settled_as>(events_.size(), settled_as::delivered)};
  std::unordered_set<std::uint64_t> held; // clients with an earlier event that is not there
  for (std::size_t i = 0; i < events_.size(); ++i) {
    const auto client = batch.events[i].client();
    const bool is_held = !held.empty() && held.contains(client);
    if (events_[i] == state::confirmed && !is_held) continue;
    out.events[i] = events_[i] == state::refused ? settled_as::refused : settled_as::failed;
    held.insert(client);
  }
  out.refusal = std::move(refusal_);
  out.failure = std::move(failure_);
  out.scope = outgoing_form::scope_of(plan_->settings.subject, scope_);
  if (out.failure.empty() && std::count(out.events.begin(), out.events.end(), settled_as::failed))
    out.failure = say("an earlier event of the client was refused, so that this one waits");
  return out;
}

std::string nats_lane::say(std::string_view what) const {
  return plan_->servers[server_].shown + ": " + std::string{what};
}

class nats_sink final : public sink {
 public:
  explicit nats_sink(std::shared_ptr<nats_plan> plan) : plan_{std::move(plan)} {}
  sink_traits traits() const override { return {}; }
  std::unique_ptr<sink_connection> connect() override { return std::make_unique<nats_lane>(plan_); }
  void stop() override { plan_->stopped = true; }

 private:
  std::shared_ptr<nats_plan> plan_;
};

} // namespace

result<std::shared_ptr<sink>> make_nats_sink(const nats_sink_settings& settings,
                                             const sink_context& context) {
  const auto wrong = [&](std::string_view key, std::string_view why) {
    return error{errc::config,
                 "sinks." + context.name + "." + std::string{key} + ": " + std::string{why}};
  };
  auto plan = std::make_shared<nats_plan>();
  plan->settings = settings;
  plan->context = context;
  plan->client_name = "penstock " + context.node_name + "/" + context.name;
  auto servers = parse_nats_servers(settings.url);
  if (!servers) return wrong("url", servers.error().message);
  plan->servers = std::move(*servers);
  if (settings.subject.empty()) plan->settings.subject = "events.{stream}";
  const auto example = outgoing_form::fill_template(plan->settings.subject, "x");
  if (const auto fault = nats_subject_fault(example); !fault.empty())
    return wrong("subject", "'" + plan->settings.subject + "' " + std::string{fault});
  if (const auto fault = nats_stream_fault(settings.stream); !fault.empty())
    return wrong("stream", "'" + settings.stream + "' " + std::string{fault});
  if (const auto fault = fault_of(settings.login); !fault.setting.empty())
    return wrong(fault.setting, fault.why);
  return std::shared_ptr<sink>{std::make_shared<nats_sink>(std::move(plan))};
}

} // namespace penstock
