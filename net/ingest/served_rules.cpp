#include "net/ingest/served_rules.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

served_rules::served_rules(ingest_rules_ptr rules, access_table_ptr access,
                           const plan_set_ptr& plans, std::shared_ptr<stream_names> names,
                           const publishers_by_sink& publishers)
    : rules_(std::move(rules)), access_(std::move(access)),
      plans_(std::make_shared<served_plans>(plans)), streams_(std::move(names)),
      publishers_(publishers) {}

void served_rules::set_rules(ingest_rules_ptr rules) {
  rules_ = std::move(rules);
  streams_.forget();
}

void served_rules::set_accounts(const accounts_changed& change) {
  access_ = change.access;
  if (plans_->serves(change.plans)) return; // only keys changed
  plans_before_ = std::exchange(plans_, std::make_shared<served_plans>(change.plans));
  plans_before_->set_next(plans_);
}

const stream_settings& served_rules::settings_of(std::string_view stream) const {
  auto found = rules_->streams.find(stream);
  return found != rules_->streams.end() ? found->second : rules_->streams.find("default")->second;
}

// The stream's settings are looked for only where they matter.
std::optional<shed_reason> served_rules::journal_refusal(const node_state& node,
                                                         std::string_view stream) const {
  if (node.journal_full.load(std::memory_order_relaxed))
    return node.disk_full.load(std::memory_order_relaxed) ? shed_reason::disk_full
                                                          : shed_reason::journal_full;
  if (node.journal_failed.load(std::memory_order_relaxed)) return shed_reason::journal_error;
  if (node.journal_scarce.load(std::memory_order_relaxed) && settings_of(stream).expendable)
    return shed_reason::expendable;
  return std::nullopt;
}

std::optional<problem> served_rules::stream_is_full(std::string_view stream) const {
  if (!refused_streams_) return std::nullopt;
  const auto name = "The stream \"" + std::string{stream} + "\" ";
  if (refused_streams_->names.contains(stream))
    return problem{507, name + "holds as much as its max_size or max_age lets it, until its sinks "
                               "have taken some; nothing was stored. Other streams are taken."};
  if (refused_streams_->unconfigured && !rules_->streams.contains(stream))
    return problem{
        507, name + "is not configured, and those that are not hold "
                    "journal.unconfigured_max_size together; nothing was stored. Other streams "
                    "are taken."};
  return std::nullopt;
}

bool served_rules::feeds_publisher(const stream_settings& settings) const {
  return std::any_of(settings.sinks.begin(), settings.sinks.end(),
                     [this](auto& sink) { return publishers_.contains(sink); });
}

// An embedded queue has what is durable, as it is the journal; and a claim is settled by what is
// on the disk, not by what is in memory.
ack_level served_rules::ack_of(std::string_view stream, bool is_keyed) const {
  const auto& settings = settings_of(stream);
  if (settings.ack == ack_level::published)
    return feeds_publisher(settings) ? ack_level::published : ack_level::journaled;
  if (settings.ack == ack_level::replicated) return ack_level::replicated;
  return is_keyed ? ack_level::journaled : settings.ack;
}

// The plan may have changed since the request was let in, or not yet where its verdict is from:
// the answer tells of the one that decided.
void served_rules::take_verdict(waiting_request& r, const verdict& state) const {
  r.state = state;
  if (state.plan_digest == 0 || state.plan_digest == r.plan->digest) return;
  auto& known = *plans_under_way(); // its batch keeps it alive, too
  if (const auto* plan = known.find_as(r.plan->charges.plan(), state.plan_digest)) r.plan = plan;
}

// What is refused uses up nothing.
void served_rules::settle_name(waiting_request& r, bool stored) {
  if (r.name_place == stream_names::no_place) return;
  if (stored)
    streams_.keep(r.name_place);
  else
    streams_.release(r.name_place);
  r.name_place = stream_names::no_place;
}

} // namespace penstock
