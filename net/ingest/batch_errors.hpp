// The errors of single events in a batch: what is kept of them, and what its answer tells.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The most errors that the answer to a batch tells one by one; the others are counted. Also the
/// most elements of a batch that may be no event: with that many it ends, and what follows is
/// rejected unread. So garbage costs no more than a batch of events, and whatever comes behind the
/// last error that is told was not taken (unless keys of CloudEvents were refused one by one).
inline constexpr std::size_t max_batch_errors = 100;

/// The elements of a batch that are no events, in order. Equal texts are kept once.
class bad_elements {
 public:
  bool empty() const { return elements_.empty(); }
  /// No more may be added.
  bool full() const { return elements_.size() >= max_batch_errors; }
  std::size_t size() const { return elements_.size(); }
  std::uint32_t index(std::size_t i) const { return elements_[i].index; }
  const std::string& detail(std::size_t i) const { return texts_[elements_[i].text]; }
  /// `index` grows with each call.
  void add(std::uint32_t index, std::string_view detail);
  /// For the named bounds.
  std::size_t memory_bytes() const;

 private:
  struct element {
    std::uint32_t index;
    std::uint32_t text;
  };
  std::vector<element> elements_;
  std::vector<std::string> texts_;
};

/// Writes the member `errors` of a batch's answer.
class batch_errors {
 public:
  std::size_t told() const { return told_; }
  /// In the order of the batch. Beyond max_batch_errors nothing is written.
  void add(std::uint32_t index, unsigned status, std::string_view detail);
  /// `"errors":[…]`, and `,"errors_omitted":n` if not all of the `rejected` were told.
  std::string members(std::size_t rejected) const;

 private:
  std::string list_;
  std::size_t told_ = 0;
};

} // namespace penstock
