#include "storage/base/id_reserve.hpp"

#include "storage/base/number_file.hpp"

#include <algorithm>
#include <chrono>

namespace penstock {

namespace {

/// Each step reserves this many times the ids that may be out unjournaled.
constexpr std::uint64_t slacks_per_step = 4;

/// More than any journal has reached by counting: it would have had to take in a million events a
/// second since 1970.
std::uint64_t beyond_all_counting() {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
      duration_cast<microseconds>(system_clock::now().time_since_epoch()).count());
}

/// Without a checksum, as earlier versions write it, it is bounded by what can be.
bool is_believed(const stored_number& stored, std::uint64_t durable_seq) {
  return stored.has_checksum || stored.value <= durable_seq + numbers_with_checksum;
}

} // namespace

result<id_reserve> id_reserve::open(const std::filesystem::path& dir,
                                    std::uint64_t max_unjournaled_events, std::uint64_t durable_seq,
                                    bool is_new_journal) {
  id_reserve ids;
  ids.path_ = dir / next_id_file_name;
  ids.slack_ = max_unjournaled_events;
  const auto stored = read_number(ids.path_);
  if (!stored && stored.error().code != errc::not_found) return stored.error();
  std::uint64_t reached = 0;
  if (stored && *stored && is_believed(**stored, durable_seq)) {
    reached = (*stored)->value;
  } else if (stored || !is_new_journal) {
    reached = beyond_all_counting();
    ids.damage_ =
        ids.path_.string() + (stored ? " is damaged" : " is gone") +
        ": which event ids were given is not known. So that none is given twice, they go on far "
        "beyond, at ";
  }
  ids.next_seq_ = std::max(reached, durable_seq == 0 ? 1 : durable_seq + 1 + ids.slack_);
  if (auto done = ids.reserve(ids.next_seq_); !done) return done.error();
  return ids;
}

result<void> id_reserve::go_beyond(std::uint64_t seq) {
  const auto next = std::max(seq + 1, beyond_all_counting());
  if (auto done = reserve(next); !done) return done;
  next_seq_ = next;
  return {};
}

result<void> id_reserve::reserve(std::uint64_t seq) {
  const auto wanted = seq + (1 + slacks_per_step) * slack_ + 1;
  auto done = write_number(path_, wanted);
  if (done) reserved_ = wanted;
  return done;
}

} // namespace penstock
