#include "actors/usage/usage_gatherer.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/usage/usage_actor.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

// A report:
//
//   begin_round: usage_sources_question to all ──► have_sources: each has said, or will not
//      ▲                                               │ choose
//      │ a node is gone: again without it              ▼
//      └──────────────── part_is_over ◄──────── ask_part: usage_part_question to those chosen
//                             │   └── the next part ───▲
//                             ▼ the last one
//                            end

void usage_gatherer_state::start(usage_gatherer_parts parts) {
  parts_ = std::move(parts);
  peers_[no_member] = {parts_.writer, parts_.reader};
}

void usage_gatherer_state::peer_came(const peer_up& peer) {
  if (peer.version < usage_wire_version || !peer.usage || !peer.usage_reader) return;
  peers_[peer.member] = {peer.usage, peer.usage_reader};
}

caf::result<usage_answer_ptr> usage_gatherer_state::report(const usage_query_ptr& query) {
  if (waiting_.size() >= max_waiting_usage_reports)
    return std::make_shared<const usage_answer>(usage_answer{
        false, {errc::unavailable, "as many usage reports are under way as may be at once"}, {}});
  caf::response_promise promise = self_->make_response_promise();
  waiting_.emplace_back(query, promise);
  begin_next();
  return promise;
}

void usage_gatherer_state::begin_next() {
  if (work_ || waiting_.empty()) return;
  auto& [query, promise] = waiting_.front();
  work_ = work{.query = std::move(query), .promise = std::move(promise)};
  work_->asked = peers_;
  waiting_.pop_front();
  begin_round();
}

void usage_gatherer_state::begin_round() {
  auto& now = *work_;
  now.number = ++rounds_;
  now.failed = false;
  now.gathering.emplace(*now.query, parts_.members);
  now.awaited = now.asked.size();
  for (const auto& [member, peer] : now.asked)
    self_->request(peer.writer, usage_sources_timeout, usage_sources_question{})
        .then(
            [this, number = now.number, from = member](const usage_sources& theirs) {
              if (!work_ || work_->number != number) return;
              work_->gathering->add_sources(from, theirs);
              have_sources(number);
            },
            [this, number = now.number](const caf::error&) { have_sources(number); });
}

void usage_gatherer_state::have_sources(std::uint64_t number) {
  if (!work_ || work_->number != number || --work_->awaited > 0) return;
  work_->gathering->choose();
  ask_part();
}

void usage_gatherer_state::ask_part() {
  auto& now = *work_;
  const auto questions = now.gathering->next_part();
  if (questions.empty()) return end({true, {}, now.gathering->report(), now.gathering->coverage()});
  now.awaited = questions.size();
  for (const auto& [member, question] : questions)
    self_->request(now.asked.at(member).reader, max_usage_report_time, question)
        .then(
            [this, number = now.number, from = member](const usage_part& part) {
              have_part(number, from, part);
            },
            [this, number = now.number, from = member](const caf::error&) { lost(number, from); });
}

void usage_gatherer_state::have_part(std::uint64_t number, std::uint16_t from,
                                     const usage_part& part) {
  if (!work_ || work_->number != number) return;
  if (!part.ok && part.is_invalid) return end({false, {errc::invalid, part.why}, {}, {}});
  // Without this node's own the report would be of little use.
  if (!part.ok && from == no_member) return end({false, {errc::unavailable, part.why}, {}, {}});
  if (!part.ok) return lost(number, from);
  work_->gathering->add_rows(part.rows);
  if (--work_->awaited == 0) part_is_over();
}

void usage_gatherer_state::lost(std::uint64_t number, std::uint16_t from) {
  if (!work_ || work_->number != number) return;
  work_->asked.erase(from);
  work_->failed = true;
  if (--work_->awaited == 0) part_is_over();
}

void usage_gatherer_state::part_is_over() {
  if (!work_->failed) return ask_part();
  if (++work_->round < max_usage_rounds && !work_->asked.empty()) return begin_round();
  end({false,
       {errc::unavailable, "nodes went away while their usage was read; ask again, or with "
                           "scope=node for what this node counted"},
       {},
       {}});
}

void usage_gatherer_state::end(usage_answer answer) {
  work_->promise.deliver(usage_answer_ptr{std::make_shared<const usage_answer>(std::move(answer))});
  work_.reset();
  begin_next();
}

usage_gatherer_self::behavior_type
usage_gatherer(usage_gatherer_self::stateful_pointer<usage_gatherer_state> self,
               usage_gatherer_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  auto& state = self->state;
  return {
      [&state](const usage_query_ptr& query) { return state.report(query); },
      [&state](const peer_up& peer) { state.peer_came(peer); },
      [&state](const peer_down& peer) { state.peer_went(peer); },
      [&state](const placement_changed& change) { state.placed(change); },
      [self](const drain&) { self->quit(); },
  };
}

} // namespace penstock
