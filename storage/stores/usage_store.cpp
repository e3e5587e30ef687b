#include "storage/stores/usage_store.hpp"

#include "storage/stores/usage_schema.hpp"
#include "storage/stores/usage_tables.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

constexpr store_kind usage_kind{
    .mark = store_mark('u', 's'),
    .holds = "usage; 'penstock usage rebuild' counts again what the journal still has",
    .remedy = {},
    .is_synced = false};

class sqlite_usage_store final : public usage_store {
 public:
  result<void> start(sqlite_database db) {
    if (auto done = tables_.start(std::move(db)); !done) return done;
    auto slots = tables_.load();
    if (!slots) return slots.error();
    // Only a file that somebody else has written to has none, or several.
    const auto own = std::ranges::find(*slots, 0, &usage_slot::number);
    if (own == slots->end()) return error{errc::corrupt, "usage.db says not whose it is"};
    own_ = std::move(*own);
    return {};
  }

  result<void> write(std::span<const usage_batch_ptr> batches,
                     std::vector<usage_key>& changed) override {
    return tables_.write(own_, batches, changed);
  }
  usage_about about() const override { return own_.about; }
  std::int64_t begun_ms() const override { return own_.begun_ms; }
  result<void> describe(const usage_about& about) override { return tables_.describe(own_, about); }
  result<std::vector<usage_state>> states(std::span<const usage_key> keys) override {
    return tables_.states(own_, keys);
  }
  result<std::vector<usage_state>> states_after(usage_key& last, std::size_t max) override {
    return tables_.states_after(own_, last, max);
  }
  std::uint64_t names() const override { return tables_.names(); }
  result<bool> trim(const usage_retention& keep, std::int64_t now_ms,
                    std::size_t max_rows) override {
    return tables_.trim(own_, keep, now_ms, max_rows, true);
  }
  std::uint64_t rows() const override { return own_.rows(); }

 private:
  usage_tables tables_;
  usage_slot own_;
};

} // namespace

result<std::unique_ptr<usage_store>> usage_store::open(const std::filesystem::path& dir,
                                                       store_report* report) {
  const auto make = [](sqlite_database& db) { return make_usage_tables(db, true); };
  auto db = open_store(dir / usage_file_name, usage_kind, make, report);
  if (!db) return db.error();
  auto store = std::make_unique<sqlite_usage_store>();
  if (auto done = store->start(std::move(*db)); !done) return done.error();
  return std::unique_ptr<usage_store>{std::move(store)};
}

} // namespace penstock
