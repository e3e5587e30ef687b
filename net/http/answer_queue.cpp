#include "net/http/answer_queue.hpp"

#include "net/http/buffers.hpp"

#include <utility>

namespace penstock {

void answer_queue::note() {
  const auto held = buffered_bytes(out_) + waiting_bytes_ + expected_bytes_;
  memory_.change(memory_part::answers, std::exchange(counted_bytes_, held), held);
}

// -- exchanges ------------------------------------------------------------------------------------

answer_queue::exchange& answer_queue::at(std::uint32_t number) {
  const auto place = number - first_;
  PENSTOCK_ASSERT(place >= done_ && place < exchanges_.size());
  return exchanges_[place];
}

std::uint32_t answer_queue::open() {
  exchanges_.emplace_back();
  return first_ + static_cast<std::uint32_t>(exchanges_.size() - 1);
}

std::string& answer_queue::begin(std::uint32_t number) {
  auto& begun = at(number);
  // The oldest answer needs no buffer of its own.
  return number - first_ == done_ ? out_ : begun.answer;
}

void answer_queue::hold(std::uint32_t number, std::size_t request_bytes, std::size_t answer_bytes) {
  auto& held = at(number);
  held.request_bytes += request_bytes;
  held.answer_bytes += answer_bytes;
  request_bytes_ += request_bytes;
  expected_bytes_ += answer_bytes;
  if (answer_bytes > 0) note();
}

bool answer_queue::end(std::uint32_t number) {
  auto& ended = at(number);
  const bool is_oldest = number - first_ == done_;
  PENSTOCK_ASSERT(!ended.done);
  ended.done = true;
  PENSTOCK_ASSERT(request_bytes_ >= ended.request_bytes);
  PENSTOCK_ASSERT(expected_bytes_ >= ended.answer_bytes);
  request_bytes_ -= std::exchange(ended.request_bytes, 0);
  expected_bytes_ -= std::exchange(ended.answer_bytes, 0);
  tighten(is_oldest ? out_ : ended.answer);
  waiting_bytes_ += buffered_bytes(ended.answer);
  if (is_oldest) take_done();
  note();
  if (is_oldest) tidy();
  return is_oldest;
}

void answer_queue::take_done() {
  while (done_ < exchanges_.size() && exchanges_[done_].done) {
    auto& one = exchanges_[done_++];
    ++unsent_answers_;
    if (one.answer.empty()) continue;
    const auto bytes = buffered_bytes(one.answer);
    PENSTOCK_ASSERT(waiting_bytes_ >= bytes);
    waiting_bytes_ -= bytes;
    out_ += std::exchange(one.answer, {});
  }
}

void answer_queue::tidy() {
  if (done_ == exchanges_.size()) {
    first_ += static_cast<std::uint32_t>(exchanges_.size());
    exchanges_.clear();
    done_ = 0;
  } else if (done_ >= max_done_) {
    exchanges_.erase(exchanges_.begin(), exchanges_.begin() + static_cast<long>(done_));
    first_ += static_cast<std::uint32_t>(done_);
    done_ = 0;
  }
}

// -- bytes ----------------------------------------------------------------------------------------

void answer_queue::add_interim(std::string_view text) {
  PENSTOCK_ASSERT(pending() == 0); // it would come before an older answer
  out_ += text;
  note();
}

void answer_queue::sent(std::size_t bytes) {
  PENSTOCK_ASSERT(bytes <= out_.size() - sent_);
  sent_ += bytes;
}

void answer_queue::end_sending() {
  PENSTOCK_ASSERT(all_sent());
  release_buffer(out_);
  note();
  sent_ = unsent_answers_ = 0;
}

void answer_queue::clear() {
  release_buffer(out_);
  sent_ = unsent_answers_ = 0;
  exchanges_.clear();
  done_ = 0;
  first_ = 0;
  expected_bytes_ = waiting_bytes_ = request_bytes_ = 0;
  note();
}

} // namespace penstock
