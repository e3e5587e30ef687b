// What the storage tests share: a directory that goes away, and blocks with known content.
#pragma once

#include "storage/events/event_id.hpp"
#include "storage/journal/journal.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/recovery.hpp"
#include "storage/journal/segment_keeper.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <stdlib.h>

namespace penstock::test {

class temporary_dir {
 public:
  explicit temporary_dir(
      const std::filesystem::path& under = std::filesystem::temp_directory_path()) {
    std::string name = (under / "penstock-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~temporary_dir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_dir(const temporary_dir&) = delete;
  temporary_dir& operator=(const temporary_dir&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline constexpr std::int64_t some_time_ms = 1'790'000'000'123;
inline constexpr std::size_t no_limit_bytes = std::numeric_limits<std::size_t>::max();
inline constexpr std::int64_t far_future_ms = 1ll << 60;

inline journal_options options_in(const std::filesystem::path& dir) {
  journal_options options;
  options.dir = dir / "journal";
  options.preallocate = false; // so that a file's size tells what is in it
  return options;
}

/// `n` events whose bodies tell their sequence number.
inline event_block numbered_block(std::uint64_t first_seq, std::size_t n,
                                  const std::string& stream = "default",
                                  std::size_t body_bytes = 0) {
  event_block block;
  block.first_seq = first_seq;
  block.time_ms = some_time_ms + static_cast<std::int64_t>(first_seq);
  block.stream = stream;
  for (std::size_t i = 0; i < n; ++i) {
    std::string body = "event " + std::to_string(first_seq + i);
    if (body.size() < body_bytes) body.resize(body_bytes, '.');
    block.push(body, "text/plain", 7);
  }
  return block;
}

/// What a journal's directory says that it must have.
inline std::shared_ptr<file_list> listed_in(const std::filesystem::path& dir) {
  return std::make_shared<file_list>(dir / segments_file_name);
}

inline std::unique_ptr<journal> open_journal(const journal_options& options,
                                             recovery_report* report = nullptr) {
  auto opened = journal::open(options, report);
  if (!opened) FAIL("can't open the journal: " << opened.error().message);
  return std::move(*opened);
}

template <class T>
void require_ok(const result<T>& done) {
  if (!done) FAIL(done.error().message);
}

inline void append_and_commit(journal& log, const event_block& block) {
  require_ok(log.append(block));
  require_ok(log.commit());
}

using blocks = std::vector<std::shared_ptr<const event_block>>;

inline blocks read_all(journal& log, const std::string& stream = "default",
                       std::uint64_t after_seq = 0, std::vector<std::string>* damage = nullptr,
                       const std::string& vfs = {}) {
  auto reader = journal_reader::make(log.catalog(), vfs);
  auto read = reader->read(stream, after_seq, no_limit_bytes, damage);
  if (!read) FAIL(read.error().message);
  return *read;
}

/// Sequence numbers of all events in the blocks whose body is the one that numbered_block() gives.
inline std::vector<std::uint64_t> numbers(const blocks& read) {
  std::vector<std::uint64_t> seqs;
  for (const auto& block : read)
    for (std::size_t i = 0; i < block->size(); ++i) {
      const auto seq = block->first_seq + i;
      const auto wanted = "event " + std::to_string(seq);
      if (block->body(i).substr(0, wanted.size()) == wanted) seqs.push_back(seq);
    }
  return seqs;
}

inline std::vector<std::uint64_t> range(std::uint64_t first, std::uint64_t last) {
  std::vector<std::uint64_t> seqs;
  for (auto seq = first; seq <= last; ++seq)
    seqs.push_back(seq);
  return seqs;
}

/// Changes one bit of a file.
inline void flip_bit(const std::filesystem::path& file, std::uint64_t offset, int bit = 3) {
  std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
  stream.seekg(static_cast<std::streamoff>(offset));
  const char was = static_cast<char>(stream.get());
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(static_cast<char>(was ^ (1 << bit)));
  REQUIRE(stream.good());
}

} // namespace penstock::test
