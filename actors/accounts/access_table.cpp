#include "actors/accounts/access_table.hpp"

#include "actors/limits/plan_set.hpp"
#include "storage/base/assert.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

namespace penstock {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool equal_nocase(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                    [](char a, char b) { return lower(a) == b; });
}

template <class Items, class Is>
bool allows(const Items& items, Is is) {
  return items.empty() || std::any_of(items.begin(), items.end(), is);
}

} // namespace

// -- entries --------------------------------------------------------------------------------------

access_entry_ptr make_access_entry(const key_record& record, const name_hasher& hash) {
  auto entry = std::make_shared<access_entry>();
  entry->id = record.id;
  entry->account = record.account;
  entry->plan = record.plan;
  entry->client = hash("account", record.account);
  entry->key_client = hash("key", record.id);
  entry->plan_id = plan_id(record.plan);
  entry->expires_ms = record.expires_ms;
  if (record.streams.empty() && record.origins.empty() && record.networks.empty()) return entry;
  auto only = std::make_shared<key_restrictions>();
  only->streams = record.streams;
  only->origins = record.origins;
  only->has_networks = !record.networks.empty();
  for (const auto& text : record.networks)
    // What can't be read matches nothing. Earlier versions took networks with bits past the prefix.
    if (const auto network = parse_network(text, host_bits::dropped))
      only->networks.push_back(*network);
  entry->only = std::move(only);
  return entry;
}

restriction may_use(const access_entry& entry, std::optional<std::string_view> stream,
                    std::string_view origin, const ip_address& address, std::int64_t now_ms) {
  if (entry.expires_ms != 0 && now_ms >= entry.expires_ms) return restriction::expired;
  if (!entry.only) return restriction::none;
  const auto& only = *entry.only;
  if (only.has_networks && !any_contains(only.networks, address)) return restriction::network;
  if (!allows(only.origins, [&](const auto& one) { return equal_nocase(origin, one); }))
    return restriction::origin;
  if (stream && !allows(only.streams, [&](const auto& one) { return *stream == one; }))
    return restriction::stream;
  return restriction::none;
}

std::string normal_origin(std::string_view text) {
  constexpr std::size_t max_origin_bytes = 260; // a host name has 253 at most
  if (text.size() > max_origin_bytes) return {};
  std::string origin{text};
  std::transform(origin.begin(), origin.end(), origin.begin(), lower);
  const bool tls = origin.starts_with("https://");
  if (!tls && !origin.starts_with("http://")) return {};
  const std::size_t host = tls ? 8 : 7;
  const bool bracketed = origin.size() > host && origin[host] == '[';
  const auto after = bracketed ? origin.find(']', host) : host;
  if (after == origin.npos) return {};
  const auto colon = std::min(origin.find(':', after), origin.size());
  if (colon == host) return {};
  const std::string_view name{origin.data() + host, colon - host};
  const std::string_view allowed =
      bracketed ? "[]:.0123456789abcdef" : "abcdefghijklmnopqrstuvwxyz0123456789.-_";
  if (name.find_first_not_of(allowed) != name.npos) return {};
  if (bracketed && (name.back() != ']' || !parse_ip(name))) return {};
  if (colon == origin.size()) return origin;
  const std::string_view port{origin.data() + colon + 1, origin.size() - colon - 1};
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != port.npos)
    return {};
  // Browsers leave the scheme's own port out.
  if (port == (tls ? "443" : "80")) origin.resize(colon);
  return origin;
}

// -- rows -----------------------------------------------------------------------------------------

std::size_t access_rows::place_of(const key_hash& hash) const {
  std::uint64_t first = 0;
  std::memcpy(&first, hash.data(), sizeof first);
  return first & (places_.size() - 1);
}

// At most four fifths of the places are taken, so that a search meets a free one soon.
access_rows::access_rows(const std::vector<row>& rows)
    : rows_(rows), places_(std::bit_ceil(rows.size() + rows.size() / 4 + 1)) {
  for (const auto& one : rows_) {
    auto at = place_of(one.hash);
    while (places_[at].is_taken)
      at = (at + 1) & (places_.size() - 1);
    auto& key = places_[at];
    key.hash = one.hash;
    key.is_taken = true;
    if (!one.entry) continue;
    key.client = one.entry->client;
    key.key_client = one.entry->key_client;
    key.plan_id = one.entry->plan_id;
    key.entry = one.entry.get();
    key.has_conditions = one.entry->expires_ms != 0 || one.entry->only;
  }
}

const access_key* access_rows::find(const key_hash& hash) const {
  for (auto at = place_of(hash); places_[at].is_taken; at = (at + 1) & (places_.size() - 1))
    if (same_hash(places_[at].hash, hash)) return &places_[at];
  return nullptr;
}

std::size_t access_rows::memory_bytes() const {
  return rows_.capacity() * sizeof(row) + places_.capacity() * sizeof(access_key);
}

// -- tables ---------------------------------------------------------------------------------------

access_table::access_table() : access_table(std::vector<access_rows::row>{}) {}

access_table::access_table(const std::vector<access_rows::row>& rows)
    : base_(std::make_shared<const access_rows>(rows)),
      overlay_(std::make_shared<const access_rows>(std::vector<access_rows::row>{})) {
  size_ = static_cast<std::size_t>(
      std::count_if(base_->all().begin(), base_->all().end(),
                    [](const access_rows::row& one) { return one.entry != nullptr; }));
}

access_table access_table::with(const std::vector<access_rows::row>& changes) const {
  // The last row of each hash among the changes, then what they leave of the overlay.
  const access_rows reversed{{changes.rbegin(), changes.rend()}};
  access_table next = *this;
  std::vector<access_rows::row> rows;
  std::set<key_hash> seen;
  for (const auto& change : reversed.all()) {
    if (!seen.insert(change.hash).second) continue; // an earlier one of the same hash
    rows.push_back(change);
    const bool was = find(change.hash) != nullptr;
    next.size_ += change.entry ? 1 : 0;
    PENSTOCK_ASSERT(!was || next.size_ > 0);
    next.size_ -= was ? 1 : 0;
  }
  for (const auto& old : overlay_->all())
    if (!reversed.find(old.hash)) rows.push_back(old);
  if (rows.size() <= max_overlay) {
    next.overlay_ = std::make_shared<const access_rows>(rows);
    return next;
  }
  const access_rows overlay{rows};
  std::vector<access_rows::row> merged;
  merged.reserve(base_->all().size() + overlay.all().size());
  for (const auto* part : {base_.get(), &overlay})
    for (const auto& one : part->all())
      if (one.entry && (part == &overlay || !overlay.find(one.hash))) merged.push_back(one);
  return access_table{merged};
}

std::size_t access_table::memory_bytes() const {
  return base_->memory_bytes() + overlay_->memory_bytes();
}

} // namespace penstock
