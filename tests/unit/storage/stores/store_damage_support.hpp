// Stores beside the journal: filled, killed, damaged and opened again.
#pragma once

#include "storage/base/files.hpp"
#include "storage/journal/segment.hpp"
#include "storage/sqlite/wal_scan.hpp"
#include "storage/stores/account_store.hpp"
#include "storage/stores/counter_store.hpp"
#include "storage/stores/cursor_store.hpp"
#include "storage/stores/dead_letter_store.hpp"
#include "storage/stores/replay_store.hpp"
#include "storage/stores/usage_store.hpp"
#include "tests/unit/storage/support.hpp"

#include <functional>

namespace penstock::test {

namespace fs = std::filesystem;

inline constexpr int items_made = 10;
inline constexpr std::uint64_t one_frame_bytes = 24 + 4096;

/// Copies what a killed process would leave: files as they are while the store is open.
inline void copy_as_killed(const fs::path& from, const fs::path& to) {
  fs::create_directories(to);
  for (const auto& entry : fs::directory_iterator{from})
    if (entry.is_regular_file())
      fs::copy_file(entry.path(), to / entry.path().filename(),
                    fs::copy_options::overwrite_existing);
}

/// Begin of a frame, counted from 1.
inline std::uint64_t frame_at(std::uint64_t number) {
  return 32 + (number - 1) * one_frame_bytes;
}

inline key_record numbered_key(int i) {
  key_record key;
  key.id = "key_" + std::to_string(i);
  key.version = static_cast<std::uint64_t>(i) + 1;
  key.account = "acme";
  key.plan = "pro";
  key.hash = key_hasher{"secret"}(key.id);
  key.shown = "psk_live_ab";
  key.streams = {"errors", "default"};
  key.created_ms = some_time_ms;
  return key;
}

inline dead_letter numbered_letter(int i) {
  dead_letter letter;
  letter.sink = "bus";
  letter.stream = "default";
  letter.tag = "aaaaaaaa";
  letter.seq = static_cast<std::uint64_t>(i) + 1;
  letter.content_type = "text/plain";
  letter.body = std::string(3000, 'x');
  letter.reason = "no";
  return letter;
}

inline usage_batch_ptr numbered_usage(int i) {
  auto batch = std::make_shared<usage_batch>();
  batch->time_ms = some_time_ms;
  batch->entries[0].push_back({"account " + std::to_string(i), {1, 1, 1, 0}});
  return batch;
}

/// A store with ten items, one a transaction, by its file's name.
struct store_sample {
  std::string file;
  /// Opens it in `dir`, adds `n` items from `first` on, calls `then` while it is open, and closes
  /// it.
  std::function<void(const fs::path& dir, int first, int n, const std::function<void()>& then)>
      fill;
  /// Opens it and counts the items.
  std::function<result<int>(const fs::path& dir, store_report& report)> count;
};

template <class Open, class Add, class Count>
store_sample sample_of(std::string file, Open open, Add add, Count count) {
  return {std::move(file),
          [=](const fs::path& dir, int first, int n, const std::function<void()>& then) {
            fs::create_directories(dir);
            auto store = open(dir, nullptr);
            require_ok(store);
            for (int i = first; i < first + n; ++i)
              require_ok(add(**store, i));
            if (then) then();
          },
          [=](const fs::path& dir, store_report& report) -> result<int> {
            auto store = open(dir, &report);
            if (!store) return store.error();
            return count(**store);
          }};
}

inline std::vector<store_sample> all_samples() {
  std::vector<store_sample> all;
  all.push_back(sample_of(
      "cursors.db",
      [](const fs::path& dir, store_report* report) {
        return cursor_store::open(dir, 0, {}, report);
      },
      [](cursor_store& store, int i) {
        return store.save({{"stream " + std::to_string(i), "queue", 5, {}}});
      },
      [](cursor_store& store) { return static_cast<int>(store.load()->size()); }));
  all.push_back(sample_of(
      "counters.db",
      [](const fs::path& dir, store_report* report) {
        return counter_store::open(dir, {}, report);
      },
      [](counter_store& store, int i) {
        counter_row row;
        row.client = static_cast<std::uint64_t>(i) + 1;
        row.idle_at = INT64_MAX;
        return store.save({&row, 1});
      },
      [](counter_store& store) {
        int rows = 0;
        require_ok(store.load(0, [&](const counter_row&) { ++rows; }));
        return rows;
      }));
  all.push_back(sample_of(
      "accounts.db",
      [](const fs::path& dir, store_report* report) {
        return account_store::open(dir, {}, report);
      },
      [](account_store& store, int i) {
        return store.save({{numbered_key(i)}, {}});
      },
      [](account_store& store) { return static_cast<int>(store.load()->keys.size()); }));
  all.push_back(sample_of(
      "dead-letters.db",
      [](const fs::path& dir, store_report* report) {
        return dead_letter_store::open(dir, 1 << 30, {}, report);
      },
      [](dead_letter_store& store, int i) { return store.add({numbered_letter(i)}); },
      [](dead_letter_store& store) {
        return static_cast<int>(store.list({}, 0, 100, true)->size());
      }));
  all.push_back(sample_of(
      "replays.db",
      [](const fs::path& dir, store_report* report) { return replay_store::open(dir, {}, report); },
      [](replay_store& store, int i) {
        delivery_job job;
        job.stream = "stream " + std::to_string(i);
        return store.add(job);
      },
      [](replay_store& store) { return static_cast<int>(store.list()->size()); }));
  all.push_back(sample_of(
      "usage.db",
      [](const fs::path& dir, store_report* report) { return usage_store::open(dir, report); },
      [](usage_store& store, int i) {
        const auto batch = numbered_usage(i);
        return store.write({&batch, 1});
      },
      [](usage_store& store) { return static_cast<int>(store.rows() / usage_periods); }));
  return all;
}

inline store_sample sample_named(const std::string& file) {
  for (auto& one : all_samples())
    if (one.file == file) return one;
  FAIL("no store " << file);
  return {};
}

} // namespace penstock::test
