#include "storage/stores/replay_store.hpp"

#include "storage/stores/delivery_database.hpp"
#include "storage/stores/job_table.hpp"

namespace penstock {

namespace fs = std::filesystem;

namespace {

constexpr store_kind replays_kind{.mark = store_mark('r', 'e'),
                                  .holds = "replays: one that was running begins again where it is "
                                           "known to have been, or is forgotten",
                                  .remedy = {},
                                  .format = deliveries_format};

class sqlite_replay_store final : public replay_store {
 public:
  explicit sqlite_replay_store(fs::path path) : path_(std::move(path)) {}

  result<void> start(const std::string& vfs, store_report* report) {
    auto opened = db_.open(path_, replays_kind, report, vfs,
                           [](sqlite_database& db) { return job_table{}.open(db); });
    if (opened) opened = jobs_.open(*db_);
    if (!opened && opened.error().code == errc::corrupt)
      return error{errc::corrupt, opened.error().message + "; move " + path_.string() +
                                      " (and its -wal) away to start without it: what it knows of "
                                      "replays is then lost, of events nothing"};
    return opened;
  }

  result<delivery_job> add(delivery_job job) override {
    result<delivery_job> kept = job;
    const auto done = db_->in_transaction([&]() -> result<void> {
      kept = jobs_.add(std::move(job));
      if (!kept) return kept.error();
      return jobs_.trim();
    });
    if (!done) return done.error();
    return kept;
  }

  result<void> save(const delivery_job& job) override { return jobs_.save(job); }
  result<std::optional<delivery_job>> find(std::uint64_t number) override {
    return jobs_.find(job_kind::replay, number);
  }
  result<std::vector<delivery_job>> list() override { return jobs_.list(); }

 private:
  fs::path path_;
  delivery_database db_;
  job_table jobs_;
};

} // namespace

result<std::unique_ptr<replay_store>>
replay_store::open(const fs::path& dir, const std::string& vfs, store_report* report) {
  auto store = std::make_unique<sqlite_replay_store>(dir / "replays.db");
  if (auto started = store->start(vfs, report); !started) return started.error();
  return std::unique_ptr<replay_store>{std::move(store)};
}

} // namespace penstock
