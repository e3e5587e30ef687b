#include "actors/cluster/placement.hpp"

#include <xxhash.h>

#include <algorithm>

namespace penstock {

// XXH3 gives the same value on every machine and in every release of xxHash since 0.8.
static std::uint64_t weight_of(std::uint32_t shard, const std::string& member) {
  return XXH3_64bits_withSeed(member.data(), member.size(), shard);
}

std::size_t owner_of(std::uint32_t shard, const std::vector<std::string>& members) {
  std::size_t best = 0;
  std::uint64_t best_weight = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::uint64_t candidate = weight_of(shard, members[i]);
    // The address breaks a tie, since the order of the members must not.
    if (i == 0 || candidate > best_weight ||
        (candidate == best_weight && members[i] < members[best])) {
      best = i;
      best_weight = candidate;
    }
  }
  return best;
}

std::vector<std::uint16_t> place_shards(const std::vector<std::string>& members) {
  std::vector<std::uint16_t> owners(shard_count);
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    owners[shard] = static_cast<std::uint16_t>(owner_of(shard, members));
  return owners;
}

namespace {

// Those who may own something, by weight: the first is the shard's owner, the second its backup.
using ranked_members = std::vector<const view_member*>;

std::vector<const view_member*> eligible(const std::vector<view_member>& members) {
  std::vector<const view_member*> out;
  for (const auto& member : members)
    if (!member.leaving) out.push_back(&member);
  if (out.empty())
    for (const auto& member : members)
      out.push_back(&member);
  return out;
}

ranked_members rank(std::uint32_t shard, const std::vector<const view_member*>& members) {
  std::vector<std::pair<std::uint64_t, const view_member*>> weighed;
  for (const auto* member : members)
    weighed.emplace_back(weight_of(shard, member->address), member);
  std::ranges::sort(weighed, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second->address < b.second->address;
  });
  ranked_members out;
  for (const auto& [ignored, member] : weighed)
    out.push_back(member);
  return out;
}

// The same process: it has what it had.
bool lives_on(const view_member& before, const cluster_view& view) {
  return std::ranges::any_of(view.members, [&](const auto& now) {
    return now.address == before.address && now.incarnation == before.incarnation;
  });
}

} // namespace

std::uint64_t holder_of(const std::string& incarnation) {
  return XXH3_64bits(incarnation.data(), incarnation.size()) | 1;
}

placement place(const cluster_view& view,
                const std::function<std::uint16_t(const std::string&)>& number_of) {
  placement out;
  out.epoch = view.epoch;
  for (const auto& member : view.members)
    out.holders.push_back(holder_of(member.incarnation));
  const auto now = eligible(view.members);
  const auto before = eligible(view.before);
  out.was_shared = view.before.size() > 1;
  // Otherwise all have ended, and what they saved is offered by those that come back.
  const bool went_on = std::ranges::any_of(view.before, [&view](const view_member& each) {
    return !each.leaving && lives_on(each, view);
  });
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    shard_place& at = out.shards[shard];
    const auto order = rank(shard, now);
    if (!order.empty()) at.owner = number_of(order[0]->address);
    if (order.size() > 1) at.backup = number_of(order[1]->address);
    const auto had = rank(shard, before);
    // The owner, or its backup. Those after them were sent nothing.
    for (std::size_t i = 0; i < std::min<std::size_t>(had.size(), 2); ++i)
      if (lives_on(*had[i], view)) {
        at.source = number_of(had[i]->address);
        at.source_owned = i == 0;
        break;
      }
    at.lost = went_on && at.source == no_member && !had[0]->leaving;
  }
  return out;
}

placement fixed_placement(const std::vector<std::string>& members) {
  placement out;
  out.members = members;
  const auto owners = place_shards(members);
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    out.shards[shard] = {.owner = owners[shard], .source = owners[shard]};
  return out;
}

} // namespace penstock
