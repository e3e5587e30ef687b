// What a start makes of a data directory: all that a node opens, in its order, and what it
// delivers.
#pragma once

#include "tests/crash/damage/book.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace penstock::damage {

struct life {
  std::string refusal; ///< why it does not start; empty: it does
  errc refused_as = errc::io;
  std::vector<std::string> damaged; ///< sentences, as they are logged
  std::vector<std::string> torn;
  std::vector<std::string> rows; ///< of rows that could not be read when they were delivered
  sent_events delivered;
  std::map<std::string, sent_events> replicas;
  account_records accounts;
  std::vector<counter_row> counters;
  std::vector<dead_letter> letters;         ///< those that are as they were kept
  std::vector<dead_letter> damaged_letters; ///< those that say of themselves that they are not
  std::uint64_t jobs = 0;
  std::uint64_t usage_rows = 0;
  std::uint64_t next_seq = 0;

  bool has_started() const { return refusal.empty(); }
};

/// What a life does beside delivering.
struct deeds {
  const sent_events* add = nullptr; ///< events to accept, with numbers from 0
  bool confirms_all = false;        ///< and retires what is delivered then
};

life live_once(const std::filesystem::path& data_dir, const deeds& does);

/// What `penstock check --data` says.
struct checked {
  std::string failure; ///< an error other than damage
  std::vector<std::string> damaged;
  std::vector<std::string> torn;
};
checked check_once(const std::filesystem::path& data_dir, const std::filesystem::path& scratch);

/// "" where there is no such file.
std::string content_of(const std::filesystem::path& file);

/// Names and bytes of all files below a directory.
std::size_t fingerprint(const std::filesystem::path& dir);

} // namespace penstock::damage
