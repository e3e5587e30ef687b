// Publishing what a node that died for good still owed, out of its data directory.
#pragma once

#include "actors/replication/replica_backlog.hpp"
#include "cli/base/progress.hpp"
#include "cli/config/config.hpp"
#include "storage/events/event_block.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

struct adopt_request {
  std::filesystem::path dir{}; ///< the dead node's data_dir
  std::string to{};            ///< the ingest plane of a living node, which gets the queue's events
  std::string to_key{};        ///< an API key of that node; "" for none
  bool without_queue = false;
  bool dry_run = false;
  /// Of a replica: what its origin said last of what was delivered. Kept in the directory, for who
  /// comes after. Null: nothing.
  std::shared_ptr<const told_backlog> told{};
  /// If given: what recovery found damaged, also before an error. What it put right it does not
  /// find again.
  std::vector<std::string>* damaged = nullptr;
  std::chrono::milliseconds patience_ms{60'000}; ///< with a sink that settles nothing
};

/// What was owed to one sink of one stream, and what of it is left.
struct adopted_stream {
  std::string sink;
  std::string kind; ///< "embedded" for the queue
  std::string stream;
  event_volume backlog;
  std::uint64_t left = 0;
};

/// What `adopt` found and did.
struct adopt_report {
  std::string directory;
  std::string node; ///< whose it was, or the configuration's name where that is not known
  std::string tag;  ///< of its events' ids
  bool dry_run = false;
  bool without_queue = false;
  bool interrupted = false;
  std::vector<adopted_stream> streams;        ///< to which something was owed
  std::map<std::string, std::string> stalled; ///< sinks that were given up, and their last error
  std::uint64_t refused = 0;                  ///< events that became dead letters now
  std::uint64_t dead_letters = 0;             ///< that the directory had before
  std::vector<std::string> damaged;           ///< what can't be read, a sentence each

  /// Nothing is owed any more, but for a queue that was to be left out, and nothing was refused.
  bool is_done() const;
};

/// Recovers the journal as a start of the node would, locks it, and runs a publisher for each sink
/// to which something is owed, until all is settled, the sinks left have settled nothing for
/// `patience_ms`, or `interrupted` is set. Cursors are saved in the directory as it goes, so that
/// it may be killed and run again. Blocks; `show` is called several times a second. Errors: invalid
/// for a directory without a journal, or a queue that owes something and neither `to` nor
/// `without_queue`; locked when a node runs on it; config, io, corrupt.
result<adopt_report> adopt(const config& settings, const adopt_request& request,
                           const std::atomic<bool>& interrupted,
                           const std::function<void(const progress&)>& show);

/// For people, and for scripts.
std::string adopt_text(const adopt_report& report);
std::string adopt_json(const adopt_report& report);

} // namespace penstock
