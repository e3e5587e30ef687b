#include "actors/usage/usage_rebuild.hpp"

#include "actors/base/utc_time.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <set>

namespace penstock {

namespace {

constexpr std::int64_t rebuild_minute_s = 60;
constexpr std::int64_t rebuild_hour_s = 3600;
/// Blocks of a stream are not quite in the order of their times: reading goes on so much further.
constexpr std::int64_t rebuild_margin_ms = 120'000;

const error given_up{errc::unavailable, "the rebuild was given up: the node is stopping"};

event_volume sum_between(const minute_volumes& volumes, std::int64_t from_s, std::int64_t to_s) {
  event_volume sum;
  for (auto at = volumes.lower_bound(from_s); at != volumes.end() && at->first < to_s; ++at)
    sum += at->second;
  return sum;
}

event_volume volume_at(const minute_volumes& volumes, std::int64_t minute_s) {
  const auto found = volumes.find(minute_s);
  return found == volumes.end() ? event_volume{} : found->second;
}

/// Moves as much of `need` as `spare` has.
void make_up(event_volume& need, event_volume& spare) {
  const event_volume both{std::min(need.events, spare.events), std::min(need.bytes, spare.bytes)};
  need -= both;
  spare -= both;
}

/// Goes through the journal and adds up. The minutes beside the range are taken in too: they may
/// have what the range lacks.
class usage_prover {
 public:
  usage_prover(const usage_rebuild_sources& from, std::int64_t from_s, std::int64_t to_s)
      : from_{from}, begin_s_{from_s - rebuild_minute_s}, end_s_{to_s + rebuild_minute_s} {
    for (const auto& account : from.accounts)
      accounts_.emplace(from.hash("account", account), &account);
  }

  result<void> run() {
    for (const auto& segment : from_.catalog.list()) {
      if (!touches(segment)) continue;
      if (from_.is_cluster && segment.keys > 0)
        return error{errc::invalid,
                     "the range has events with idempotency keys, which other nodes of the cluster "
                     "may have counted; it can't be rebuilt"};
      for (const auto& [stream, bytes] : segment.body_bytes)
        all_bytes_ += bytes;
    }
    for (const auto& stream : from_.catalog.streams())
      if (auto done = read(stream); !done) return done;
    from_.journal.release();
    return {};
  }

  volumes_by_id streams, accounts;
  minute_volumes no_account;
  std::uint64_t damaged = 0;

 private:
  bool touches(const segment_info& segment) const {
    return segment.first_seq != 0 && segment.first_seq <= from_.up_to_seq &&
           segment.last_time_ms >= begin_s_ * 1000 && segment.first_time_ms < end_s_ * 1000;
  }

  result<void> read(const std::string& stream) {
    auto after = from_.journal.seq_before_time(stream, begin_s_ * 1000 - rebuild_margin_ms);
    if (!after) return after.error();
    for (bool more = true; more;) {
      if (from_.give_up()) return given_up;
      std::vector<std::string> damage;
      const auto blocks = from_.journal.read(stream, *after, rebuild_read_bytes, &damage);
      if (!blocks) return blocks.error();
      damaged += damage.size();
      more = !blocks->empty();
      for (const auto& block : *blocks) {
        more = more && block->first_seq <= from_.up_to_seq &&
               block->time_ms < end_s_ * 1000 + rebuild_margin_ms;
        if (!more) break;
        add(*block);
        *after = block->last_seq();
      }
      if (sums_ > from_.max_sums)
        return error{errc::invalid, "the range has more than " + std::to_string(from_.max_sums) +
                                        " ids and minutes; take a shorter one"};
      from_.progress(std::min(done_bytes_, all_bytes_), all_bytes_);
    }
    return {};
  }

  void add(const event_block& block) {
    done_bytes_ += block.bodies.size();
    const auto minute = bucket_start_s(usage_period::minute, block.time_ms / 1000);
    if (minute < begin_s_ || minute >= end_s_) return;
    const auto count = std::min<std::uint64_t>(block.size(), from_.up_to_seq + 1 - block.first_seq);
    const event_volume all{count, count == 0 ? 0 : block.events[count - 1].end};
    add_to(streams[block.stream], minute, all);
    // Clients often send several in a row.
    for (std::uint64_t i = 0; i < count;) {
      const auto client = block.events[i].client;
      auto next = i + 1;
      while (next < count && block.events[next].client == client)
        ++next;
      const event_volume some{next - i, block.events[next - 1].end - block.begin_of(i)};
      const auto account = accounts_.find(client);
      if (account == accounts_.end())
        no_account[minute] += some;
      else
        add_to(accounts[*account->second], minute, some);
      i = next;
    }
  }

  void add_to(minute_volumes& volumes, std::int64_t minute, const event_volume& more) {
    const auto [at, is_new] = volumes.try_emplace(minute);
    if (is_new) ++sums_;
    at->second += more;
  }

  const usage_rebuild_sources& from_;
  std::int64_t begin_s_, end_s_;
  boost::unordered_flat_map<std::uint64_t, const std::string*> accounts_;
  std::uint64_t all_bytes_ = 0, done_bytes_ = 0;
  std::size_t sums_ = 0;
};

/// Compares one dimension with its counts.
class usage_comparison {
 public:
  usage_comparison(usage_dimension by, const usage_rebuild_sources& from) : by_{by}, from_{from} {}

  /// Hours before minutes: what is counted meanwhile then looks like more minutes, never fewer.
  result<void> load(const volumes_by_id& proven, std::int64_t from_s, std::int64_t to_s) {
    const auto begin = bucket_start_s(usage_period::hour, from_s - rebuild_minute_s);
    const auto end =
        bucket_start_s(usage_period::hour, to_s + rebuild_minute_s + rebuild_hour_s - 1);
    for (auto* into : {&hours_, &minutes_}) {
      const auto per = into == &hours_ ? usage_period::hour : usage_period::minute;
      auto done = from_.counts.visit(
          by_, per, begin, end,
          [&](const usage_row& row) {
            if (row.id == other_usage_id) {
              if (per == usage_period::minute && row.counts.events > 0)
                unclear_.insert(row.start_s);
            } else if (proven.contains(row.id)) {
              (*into)[row.id][row.start_s] += {row.counts.events, row.counts.bytes};
            }
          },
          from_.give_up);
      if (!done) return done;
    }
    return {};
  }

  /// Drops what can't be compared.
  minute_volumes comparable(const std::string& id, minute_volumes proven, std::uint64_t& skipped) {
    for (const auto minute : unclear_)
      skipped += proven.erase(minute);
    const auto hours = hours_.find(id);
    if (hours == hours_.end()) return proven;
    for (const auto& [hour, counted] : hours->second) {
      if (sum_between(minutes_[id], hour, hour + rebuild_hour_s).events >= counted.events) continue;
      const auto first = proven.lower_bound(hour);
      const auto last = proven.lower_bound(hour + rebuild_hour_s);
      if (first != last) ++skipped;
      proven.erase(first, last);
    }
    return proven;
  }

  const minute_volumes& counted(const std::string& id) { return minutes_[id]; }

 private:
  usage_dimension by_;
  const usage_rebuild_sources& from_;
  volumes_by_id hours_, minutes_;
  std::set<std::int64_t> unclear_; // minutes with traffic under other_usage_id
};

/// What goes to the store: a batch a minute.
class correction_list {
 public:
  void add(usage_dimension by, const std::string& id, const minute_volumes& lacking) {
    for (const auto& [minute, volume] : lacking)
      batches_[minute].entries[static_cast<std::size_t>(by)].push_back(
          {id, usage_counts{.events = volume.events, .bytes = volume.bytes}});
  }
  std::vector<usage_batch_ptr> take() {
    std::vector<usage_batch_ptr> out;
    for (auto& [minute, batch] : batches_) {
      batch.time_ms = minute * 1000;
      out.push_back(std::make_shared<const usage_batch>(std::move(batch)));
    }
    return out;
  }

 private:
  std::map<std::int64_t, usage_batch> batches_;
};

// Segments are numbered from 1: while the first is there, nothing has been retired. Else the
// minute in which the oldest begins is incomplete, and the next is only looked at for what the one
// behind it lacks.
std::int64_t covered_from(const std::vector<segment_info>& segments, std::int64_t from_s) {
  for (const auto& segment : segments) {
    if (segment.first_seq == 0) continue;
    if (segment.number == 1) return from_s;
    const auto minute = bucket_start_s(usage_period::minute, segment.first_time_ms / 1000);
    return std::max(from_s, minute + 2 * rebuild_minute_s);
  }
  return from_s;
}

result<void> compare_ids(usage_dimension by, const volumes_by_id& all_proven,
                         const usage_rebuild_sources& from, usage_rebuilt& out,
                         correction_list& corrections) {
  usage_comparison comparison{by, from};
  if (auto done = comparison.load(all_proven, out.covered_from_s, out.to_s); !done) return done;
  auto& added_in_all = by == usage_dimension::stream ? out.added_streams : out.added_accounts;
  for (const auto& [id, proven] : all_proven) {
    const auto comparable = comparison.comparable(id, proven, out.skipped);
    const auto lacking =
        shortfall(comparable, comparison.counted(id), out.covered_from_s, out.to_s);
    if (lacking.empty()) continue;
    corrections.add(by, id, lacking);
    usage_rebuilt::id_outcome outcome{
        by, id, sum_between(proven, out.covered_from_s, out.to_s),
        sum_between(comparison.counted(id), out.covered_from_s, out.to_s),
        sum_between(lacking, out.covered_from_s, out.to_s)};
    added_in_all += outcome.added;
    ++out.corrected_ids;
    out.ids.push_back(std::move(outcome));
  }
  return {};
}

// The minute in which the counts were begun has events of before, too.
result<void> may_count_again(const usage_rebuild_request& request,
                             const usage_rebuild_sources& from, std::int64_t from_s) {
  if (!from.is_cluster || request.despite_copies || from_s * 1000 >= from.begun_ms) return {};
  const auto segments = from.catalog.list();
  const bool has_earlier = std::ranges::any_of(segments, [&](const segment_info& segment) {
    return segment.first_seq != 0 && segment.first_time_ms < from.begun_ms &&
           segment.last_time_ms >= from_s * 1000;
  });
  if (!has_earlier) return {};
  const auto first_s = next_bucket_s(usage_period::minute,
                                     bucket_start_s(usage_period::minute, from.begun_ms / 1000));
  return error{errc::invalid,
               "usage.db was begun at " + utc_time(from.begun_ms) +
                   ", and the journal has events from before. If there was an earlier one, another "
                   "node may have a copy of it, which reports add: these events would be counted "
                   "twice. Take a range from " +
                   utc_time(first_s * 1000) +
                   " on; or, if reports of the cluster show no copy with this node's address, ask "
                   "with --despite-copies (despite_copies)"};
}

} // namespace

minute_volumes shortfall(const minute_volumes& proven, const minute_volumes& counted,
                         std::int64_t from_s, std::int64_t to_s) {
  minute_volumes spare, lacking;
  for (const auto& [minute, volume] : counted) {
    auto more = volume;
    more -= volume_at(proven, minute);
    if (more != event_volume{}) spare[minute] = more;
  }
  for (auto at = proven.lower_bound(from_s); at != proven.end() && at->first < to_s; ++at) {
    auto need = at->second;
    need -= volume_at(counted, at->first);
    for (const auto beside : {at->first - rebuild_minute_s, at->first + rebuild_minute_s})
      if (const auto found = spare.find(beside); found != spare.end()) make_up(need, found->second);
    if (need != event_volume{}) lacking[at->first] = need;
  }
  return lacking;
}

result<usage_rebuilt> rebuild_usage(const usage_rebuild_request& request,
                                    const usage_rebuild_sources& from,
                                    std::vector<usage_batch_ptr>& corrections) {
  usage_rebuilt out;
  out.from_s = bucket_start_s(usage_period::minute, request.from_s);
  out.to_s = bucket_start_s(usage_period::minute, request.to_s + rebuild_minute_s - 1);
  out.covered_from_s = covered_from(from.catalog.list(), out.from_s);
  out.dry_run = request.dry_run;
  if (from.catalog.streams().empty() || out.covered_from_s >= out.to_s)
    return error{errc::not_found, "the journal has no whole minute of this range any more"};
  if (auto may = may_count_again(request, from, out.covered_from_s); !may) return may.error();
  usage_prover prover{from, out.covered_from_s, out.to_s};
  if (auto done = prover.run(); !done) return done.error();
  out.damaged_blocks = prover.damaged;
  out.no_account = sum_between(prover.no_account, out.covered_from_s, out.to_s);
  for (const auto& [stream, volumes] : prover.streams)
    out.read += sum_between(volumes, out.covered_from_s, out.to_s);
  correction_list list;
  for (const auto& [by, proven] : {std::pair{usage_dimension::stream, &prover.streams},
                                   std::pair{usage_dimension::account, &prover.accounts}})
    if (auto done = compare_ids(by, *proven, from, out, list); !done) return done.error();
  std::stable_sort(out.ids.begin(), out.ids.end(),
                   [](const auto& a, const auto& b) { return a.added.events > b.added.events; });
  if (out.ids.size() > max_rebuilt_ids) out.ids.resize(max_rebuilt_ids);
  corrections = list.take();
  return out;
}

} // namespace penstock
