#include "storage/id_reserve.hpp"

#include "storage/files.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace penstock {

namespace {

/// Each step reserves this many times the ids that may be out unjournaled.
constexpr std::uint64_t slacks_per_step = 4;
/// Always the same length, so that the file can be overwritten in place.
constexpr std::size_t digits = 20;

} // namespace

result<id_reserve> id_reserve::open(const std::filesystem::path& dir,
                                    std::uint64_t max_unjournaled_events,
                                    std::uint64_t durable_seq) {
  id_reserve ids;
  ids.path_ = dir / "next-id";
  ids.slack_ = max_unjournaled_events;
  auto stored = read_file(ids.path_);
  if (!stored && stored.error().code != errc::not_found) return stored.error();
  std::uint64_t reached = 0;
  if (stored) std::from_chars(stored->data(), stored->data() + stored->size(), reached);
  // A new journal starts at 1; one whose file is gone goes by what is durable.
  ids.next_seq_ = std::max(reached, durable_seq == 0 ? 1 : durable_seq + 1 + ids.slack_);
  if (auto done = ids.reserve(ids.next_seq_); !done) return done.error();
  return ids;
}

result<void> id_reserve::reserve(std::uint64_t seq) {
  const auto wanted = seq + (1 + slacks_per_step) * slack_ + 1;
  std::string text = std::to_string(wanted);
  text.insert(0, digits - text.size(), '0');
  text.push_back('\n');
  auto done =
      file_bytes(path_) == text.size() ? overwrite_file(path_, text) : write_file(path_, text);
  if (done) reserved_ = wanted;
  return done;
}

} // namespace penstock
