// A job that sends stored events again: a replay of the journal, or a retry of dead letters.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// The letter that a job's id begins with.
enum class job_kind : char { replay = 'r', retry = 'd' };

enum class job_state : std::uint8_t {
  running,
  done,      ///< everything was sent, or refused by the sink
  cancelled, ///< by someone; may be resumed
  failed,    ///< `why` tells; may be resumed
};

/// What is known of one job. Times are milliseconds since the Unix epoch.
struct delivery_job {
  job_kind kind = job_kind::replay;
  std::uint64_t number = 0; ///< with `kind` its id; drawn by the store
  std::string stream{};     ///< of a retry: empty for all
  std::string sink{};       ///< of a retry: empty for all
  std::uint64_t from_seq = 0;
  std::uint64_t to_seq = 0;   ///< of a replay, both inclusive
  std::uint32_t rate = 0;     ///< events per second; 0: as fast as the sink takes them
  std::uint64_t next_seq = 0; ///< of a replay: what comes before is settled
  std::uint64_t total = 0;    ///< events
  std::uint64_t sent = 0;     ///< the sink confirmed them
  std::uint64_t refused = 0;  ///< by the sink, for good; they are dead letters (again)
  job_state state = job_state::running;
  std::string why{}; ///< why it failed
  std::int64_t created_ms = 0;
  std::int64_t changed_ms = 0;

  bool operator==(const delivery_job&) const = default;
};

/// Jobs that run at one time, of each kind; and ended ones that are kept to be listed.
inline constexpr std::size_t max_running_jobs = 16;
inline constexpr std::size_t max_ended_jobs = 1000;

/// "r7", "d12".
inline std::string job_id(const delivery_job& job) {
  return static_cast<char>(job.kind) + std::to_string(job.number);
}

/// Nothing if `id` is not of this kind.
inline std::optional<std::uint64_t> job_number(job_kind kind, std::string_view id) {
  std::uint64_t number = 0;
  if (id.size() < 2 || id.front() != static_cast<char>(kind)) return std::nullopt;
  const auto [end, failed] = std::from_chars(id.data() + 1, id.data() + id.size(), number);
  if (failed != std::errc{} || end != id.data() + id.size() || number == 0) return std::nullopt;
  return number;
}

inline std::string_view name_of(job_state state) {
  switch (state) {
  case job_state::running:
    return "running";
  case job_state::done:
    return "done";
  case job_state::cancelled:
    return "cancelled";
  case job_state::failed:
    return "failed";
  }
  return "failed";
}

} // namespace penstock
