#include "actors/usage/usage_gathering.hpp"

#include "storage/stores/usage_reader.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace penstock {

void usage_gathering::add_sources(node from, const usage_sources& theirs) {
  std::size_t taken = 0;
  copy_names_[from] = theirs.copy_names;
  for (const auto& one : theirs.all) {
    if (!is_usage_origin(one.about.origin) || ++taken > max_usage_sources) continue;
    by_origin_[one.about.origin].push_back({from, one});
  }
}

void usage_gathering::choose() {
  for (const auto& [origin, sources] : by_origin_) {
    const auto best =
        std::max_element(sources.begin(), sources.end(), [](const source& a, const source& b) {
          return std::tuple{!a.what.is_copy, a.what.about.known_ms, b.at} <
                 std::tuple{!b.what.is_copy, b.what.about.known_ms, a.at};
        });
    chosen_.push_back(*best);
  }
  std::uint64_t names = 0;
  std::map<node, std::uint64_t> of_copies; // a node's share their names
  for (const auto& one : chosen_) {
    auto& sum = one.what.is_copy ? of_copies[one.at] : names;
    sum += std::min<std::uint64_t>(one.what.names, usage_ids_a_part * max_usage_parts);
  }
  for (const auto& [at, sum] : of_copies)
    names += std::min(sum, copy_names_[at]);
  const auto parts = (names + usage_ids_a_part - 1) / usage_ids_a_part;
  parts_ = query_.id
               ? 1
               : static_cast<std::uint32_t>(std::clamp<std::uint64_t>(parts, 1, max_usage_parts));
}

std::map<usage_gathering::node, usage_part_question> usage_gathering::next_part() {
  end_part();
  std::map<node, usage_part_question> questions;
  if (part_ == parts_) return questions;
  for (const auto& one : chosen_) {
    auto& question = questions[one.at];
    question.by = query_.by;
    question.per = query_.per;
    question.from_s = query_.from_s;
    question.to_s = query_.to_s;
    question.id = query_.id.value_or("");
    question.part = part_;
    question.parts = parts_;
    question.origins.push_back(one.what.about.origin);
  }
  ++part_;
  return questions;
}

void usage_gathering::add_rows(const std::vector<usage_row>& rows) {
  for (const auto& row : rows) {
    if (query_.id)
      buckets_[row.start_s] += row.counts;
    else
      sums_[row.id] += row.counts;
  }
}

// The name breaks a tie, so that a report is the same whichever node makes it.
bool usage_gathering::is_before(const usage_row& a, const usage_row& b) const {
  const auto left = count_of(a.counts, query_.order), right = count_of(b.counts, query_.order);
  return left != right ? left > right : a.id < b.id;
}

void usage_gathering::end_part() {
  const auto before = [this](const usage_row& a, const usage_row& b) { return is_before(a, b); };
  for (auto& [id, counts] : sums_) {
    ++ids_;
    total_ += counts;
    usage_row row{id, 0, counts};
    const auto top = std::min(query_.top, max_usage_top);
    if (top == 0 || (top_.size() == top && !before(row, top_.front()))) continue;
    if (top_.size() == top) {
      std::pop_heap(top_.begin(), top_.end(), before);
      top_.pop_back();
    }
    top_.push_back(std::move(row));
    std::push_heap(top_.begin(), top_.end(), before);
  }
  sums_.clear();
}

usage_report usage_gathering::report() const {
  usage_report out;
  out.from_s = bucket_start_s(query_.per, query_.from_s);
  out.to_s = query_.to_s;
  if (query_.id) {
    for (const auto& [start_s, counts] : buckets_) {
      out.rows.push_back({*query_.id, start_s, counts});
      out.total += counts;
    }
    out.ids = out.rows.empty() ? 0 : 1;
    return out;
  }
  out.total = total_;
  out.ids = ids_;
  out.rows = top_;
  std::sort(out.rows.begin(), out.rows.end(),
            [this](const usage_row& a, const usage_row& b) { return is_before(a, b); });
  return out;
}

usage_coverage usage_gathering::coverage() const {
  usage_coverage out;
  std::set<std::string> known;
  for (const auto& one : chosen_) {
    const auto& about = one.what.about;
    out.nodes.push_back({about.node, about.address, one.what.is_copy, about.known_ms});
    if (about.known_ms > 0) known.insert(about.address);
  }
  std::sort(out.nodes.begin(), out.nodes.end(), [](const usage_origin& a, const usage_origin& b) {
    return std::tie(a.node, a.address, a.is_copy, a.known_ms) <
           std::tie(b.node, b.address, b.is_copy, b.known_ms);
  });
  for (const auto& member : members_)
    if (!member.empty() && !known.contains(member)) out.missing.push_back(member);
  return out;
}

} // namespace penstock
