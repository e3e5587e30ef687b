#include "storage/stores/usage_copies.hpp"

#include "storage/stores/usage_schema.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

constexpr store_kind usage_copies_kind{
    .mark = store_mark('u', 'c'),
    .holds = "the usage of other nodes; where such a node runs, it is copied again",
    .remedy = {},
    .is_synced = false};

} // namespace

result<std::unique_ptr<usage_copies>>
usage_copies::open(const std::filesystem::path& dir, store_report* report, std::size_t max_copies) {
  const auto make = [](sqlite_database& db) { return make_usage_tables(db, false); };
  auto db = open_store(dir / usage_copies_file_name, usage_copies_kind, make, report);
  if (!db) return db.error();
  std::unique_ptr<usage_copies> copies{new usage_copies{max_copies}};
  if (auto done = copies->tables_.start(std::move(*db)); !done) return done.error();
  auto slots = copies->tables_.load();
  if (!slots) return slots.error();
  for (const auto& slot : *slots) {
    copies->note(slot);
    copies->slots_.emplace(slot.about.origin, slot);
  }
  return copies;
}

void usage_copies::note(const usage_slot& slot) {
  auto& one = all_[slot.about.origin];
  rows_ += slot.rows() - one.rows;
  // Names are those of the whole file.
  one = {slot.about, std::min(tables_.names(), slot.rows()), slot.rows()};
}

result<usage_slot*> usage_copies::slot_of(const std::string& origin) {
  if (const auto known = slots_.find(origin); known != slots_.end()) return &known->second;
  if (!is_usage_origin(origin)) return error{errc::invalid, "this is no origin of usage"};
  if (is_full())
    return error{errc::unavailable, "the usage of " + std::to_string(max_copies_) +
                                        " nodes is kept here, and of no more"};
  auto made = tables_.add(origin);
  if (!made) return made.error();
  return &slots_.emplace(origin, std::move(*made)).first->second;
}

result<bool> usage_copies::raise(std::span<const usage_state> rows, const usage_about& about) {
  const auto slot = slot_of(about.origin);
  if (!slot) return slot.error();
  auto raised = tables_.raise(**slot, rows, about);
  note(**slot);
  return raised;
}

result<std::vector<usage_state>> usage_copies::states_after(const std::string& origin,
                                                            usage_key& last, std::size_t max) {
  const auto known = slots_.find(origin);
  if (known == slots_.end()) return error{errc::not_found, "there is no such copy"};
  return tables_.states_after(known->second, last, max);
}

result<bool> usage_copies::trim(const usage_retention& keep, std::int64_t now_ms,
                                std::size_t max_rows) {
  if (slots_.empty()) return false;
  if (rows_ > keep.max_rows) return trim_largest(keep, now_ms, max_rows);
  auto next = slots_.upper_bound(trimmed_);
  const bool begins = next == slots_.end();
  if (begins) next = slots_.begin();
  auto& slot = next->second;
  const auto before = std::exchange(trimmed_, next->first);
  auto more = tables_.trim(slot, keep, now_ms, max_rows, begins);
  if (!more) return more.error();
  note(slot);
  if (*more) trimmed_ = before; // it is its turn again
  if (slot.rows() > 0 || now_ms - slot.about.known_ms < usage_empty_copy_ms) return *more;
  const auto removed = tables_.remove(slot);
  if (!removed) return removed.error();
  note(slot);
  if (!*removed) return *more;
  all_.erase(next->first);
  slots_.erase(next);
  return *more;
}

// All together are too many: who has most is above its share, and gives some up.
result<bool> usage_copies::trim_largest(const usage_retention& keep, std::int64_t now_ms,
                                        std::size_t max_rows) {
  auto& slot = std::ranges::max_element(slots_, {}, [](const auto& each) {
                 return each.second.rows();
               })->second;
  auto share = keep;
  share.max_rows = keep.max_rows / slots_.size();
  auto more = tables_.trim(slot, share, now_ms, max_rows, false);
  if (!more) return more.error();
  // There are fewer than the file told: else it would be the largest for ever.
  if (!*more && slot.rows() > share.max_rows)
    if (auto counted = tables_.count(slot); !counted) return counted.error();
  note(slot);
  return *more;
}

} // namespace penstock
