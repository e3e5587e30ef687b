// Journals to damage, and what is left of them.
#pragma once

#include "storage/journal/segment.hpp"
#include "tests/unit/storage/support.hpp"

namespace penstock::test {

namespace fs = std::filesystem;

inline constexpr std::uint64_t events_per_segment = 200;

/// Three segments of 200 events, ten a commit; only the last has no seal. It is in use.
inline void make_three_segments(const journal_options& options) {
  auto log = open_journal(options);
  for (std::uint64_t segment = 0; segment < 3; ++segment) {
    for (std::uint64_t i = 0; i < events_per_segment; i += 10)
      append_and_commit(*log, numbered_block(segment * events_per_segment + i + 1, 10));
    if (segment < 2) require_ok(log->rotate());
  }
}

inline void overwrite(const fs::path& file, std::uint64_t offset, const std::string& bytes) {
  std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
  stream.seekp(static_cast<std::streamoff>(offset));
  stream << bytes;
  REQUIRE(stream.good());
}

struct outcome {
  std::vector<std::uint64_t> events;
  recovery_report report;
  std::vector<segment_info> segments;
};

/// Opens after the damage, twice, and appends in between: the journal must go on.
inline outcome reopen(const journal_options& options) {
  outcome found;
  {
    auto log = open_journal(options, &found.report);
    found.events = numbers(read_all(*log));
    found.segments = log->catalog()->list();
    const auto next = log->next_seq();
    CHECK(next > 3 * events_per_segment);
    append_and_commit(*log, numbered_block(next, 5));
    CHECK(numbers(read_all(*log, "default", next - 1)) == range(next, next + 4));
  }
  auto again = open_journal(options);
  CHECK(numbers(read_all(*again)).size() == found.events.size() + 5);
  return found;
}

inline std::vector<std::uint64_t> without(std::uint64_t first, std::uint64_t last) {
  auto all = range(1, first - 1);
  for (const auto seq : range(last + 1, 3 * events_per_segment))
    all.push_back(seq);
  return all;
}

inline bool mentions(const outcome& found, const std::string& text) {
  for (const auto& sentence : found.report.damaged)
    if (sentence.find(text) != std::string::npos) return true;
  return false;
}

} // namespace penstock::test
