#include "actors/delivery/dead_letter_sender.hpp"

#include "actors/base/units.hpp"

#include <spdlog/spdlog.h>

#include <memory>
#include <utility>

namespace penstock {

namespace {

dead_letter letter_of(const lane_feed::dead_event& dead, const std::string& sink,
                      const std::string& tag, std::int64_t now_ms) {
  auto out = letter_of(*dead.event.block, dead.event.index);
  out.sink = sink;
  out.tag = tag;
  out.reason = dead.reason;
  out.tries = dead.tries;
  out.died_ms = now_ms;
  return out;
}

} // namespace

bool dead_letter_sender::is_configured(const std::string& stream) const {
  const auto& parts = context_.parts;
  return !parts.is_configured || parts.is_configured(stream);
}

unstored_dead_letters& dead_letter_sender::queue_of(const std::string& stream) {
  return is_configured(stream) ? configured_ : unconfigured_;
}

event_volume dead_letter_sender::waiting_of(const std::string& stream) const {
  return (is_configured(stream) ? configured_ : unconfigured_).waiting_of(stream);
}

void dead_letter_sender::add(publisher_stream& of, std::uint32_t lane,
                             const lane_feed::dead_event& dead,
                             std::vector<publish_watches::answer>& answers) {
  const auto& parts = context_.parts;
  queue_of(of.name()).add(letter_of(dead, parts.sink, parts.tag, parts.wall_ms()));
  of.watches.died(lane, dead.event.seq(), answers);
}

void dead_letter_sender::condemn(publisher_stream& of) {
  if (!of.hold.is_lapsed() || !queue_of(of.name()).empty()) return;
  lane_feed::dead_letter_room room{max_dead_letters_at_once, max_condemned_bytes};
  const auto reason =
      "it had no target for " +
      format_duration(std::chrono::milliseconds{of.hold.missing_ms() / 1000 * 1000}) + ": " +
      of.last_error;
  std::vector<publish_watches::answer> answers;
  for (std::uint32_t i = 0; i < of.feed.lanes(); ++i)
    for (const auto& dead : of.feed.lane(i).condemn(of.condemned_to, room, reason))
      add(of, i, dead, answers);
  answers_.tell(answers);
  send();
}

void dead_letter_sender::send() {
  send(configured_);
  send(unconfigured_);
}

void dead_letter_sender::send(unstored_dead_letters& from) {
  auto letters = from.next(context_.now_ms());
  if (letters.empty()) return;
  auto message = std::make_shared<store_dead_letters>();
  message->letters = std::move(letters);
  context_.self
      ->request(context_.parts.dead_letters, caf::infinite,
                store_dead_letters_ptr{std::move(message)})
      .then([this, &from](const dead_letters_stored& update) { on_answer_(from, update); },
            [this, &from](const caf::error& why) {
              on_answer_(from, {false, {errc::unavailable, to_string(why)}});
            });
}

std::vector<dead_letter> dead_letter_sender::take_answer(unstored_dead_letters& from,
                                                         const dead_letters_stored& update) {
  if (update.ok) {
    auto letters = from.kept();
    context_.parts.metrics->refused.add(letters.size());
    return letters;
  }
  if (const auto told = from.failed(update.why, context_.now_ms()))
    spdlog::error("sink {}: dead letters can't be kept, so their lanes' cursors stay: {}",
                  context_.parts.sink, *told);
  return {};
}

void dead_letter_sender::tell_death(const dead_letter& letter) {
  if (++deaths_ > max_deaths_told) return;
  spdlog::warn("sink {}: event {:016x}-{} of stream '{}' is a dead letter{}: {}",
               context_.parts.sink, letter.seq, context_.parts.tag, letter.stream,
               letter.tries > 0 ? fmt::format(" after {} tries", letter.tries) : "", letter.reason);
}

void dead_letter_sender::tell_rest() {
  const auto deaths = std::exchange(deaths_, 0);
  if (deaths > max_deaths_told)
    spdlog::warn("sink {}: and {} dead letters more", context_.parts.sink,
                 deaths - max_deaths_told);
}

} // namespace penstock
