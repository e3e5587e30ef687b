#include "storage/events/event_block.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <limits>

namespace penstock {

namespace {

/// How far back push() looks for a content type it already has. A batch nearly always uses one or
/// two; the bound keeps a hostile batch of thousands of types linear, at worst storing some twice.
constexpr std::size_t type_search_window = 16;

std::uint16_t type_index(event_block& block, std::string_view content_type) {
  auto& types = block.content_types;
  const std::size_t oldest =
      types.size() > type_search_window ? types.size() - type_search_window : 0;
  for (std::size_t i = types.size(); i > oldest; --i)
    if (types[i - 1] == content_type) return static_cast<std::uint16_t>(i - 1);
  types.emplace_back(content_type);
  PENSTOCK_ASSERT(types.size() <= std::numeric_limits<std::uint16_t>::max() + 1u);
  return static_cast<std::uint16_t>(types.size() - 1);
}

std::uint16_t attributes_index(event_block& block, std::string_view json) {
  if (json.empty()) return 0;
  // The events of one request share their attributes, so the last entry is the likely one.
  if (block.attributes.back() != json) block.attributes.emplace_back(json);
  return static_cast<std::uint16_t>(block.attributes.size() - 1);
}

} // namespace

void event_block::push(std::string_view body, std::string_view content_type, std::uint64_t client,
                       std::string_view attributes_json) {
  bodies.append(body);
  PENSTOCK_ASSERT(bodies.size() <= std::numeric_limits<std::uint32_t>::max());
  event_meta meta;
  meta.end = static_cast<std::uint32_t>(bodies.size());
  meta.type = type_index(*this, content_type);
  meta.attributes = attributes_index(*this, attributes_json);
  meta.client = client;
  events.push_back(meta);
}

std::size_t event_block::event_bytes_from(std::size_t first) const {
  if (first >= events.size()) return 0;
  if (attributes.size() == 1 && content_types.size() == 1)
    return events.back().end - begin_of(first) +
           (first == 0 ? counted_type_bytes(content_types[0].size()) : 0);
  std::size_t sum = 0;
  for (auto i = first; i < events.size(); ++i)
    sum += event_bytes(i);
  return sum;
}

void event_block::append(const event_block& next) {
  const auto offset = static_cast<std::uint32_t>(bodies.size());
  bodies.append(next.bodies);
  PENSTOCK_ASSERT(bodies.size() <= std::numeric_limits<std::uint32_t>::max());
  const bool same_types = content_types == next.content_types;
  for (auto key : next.keys) {
    key.first += static_cast<std::uint32_t>(events.size());
    keys.push_back(key);
  }
  events.reserve(events.size() + next.events.size());
  for (auto meta : next.events) {
    meta.end += offset;
    if (!same_types) meta.type = type_index(*this, next.content_types[meta.type]);
    if (meta.attributes != 0)
      meta.attributes = attributes_index(*this, next.attributes[meta.attributes]);
    events.push_back(meta);
  }
}

void event_block::truncate(std::size_t count) {
  if (count >= events.size()) return;
  bodies.resize(begin_of(count));
  events.resize(count);
  while (!keys.empty() && keys.back().first >= count)
    keys.pop_back();
  if (!keys.empty())
    keys.back().count =
        std::min(keys.back().count, static_cast<std::uint32_t>(count) - keys.back().first);
}

void event_block::clear() {
  first_seq = 0;
  time_ms = 0;
  stream.clear();
  events.clear();
  content_types.clear();
  attributes.resize(1);
  bodies.clear();
  keys.clear();
}

// A key goes with the last of its events. Those that are kept stay together: between them lie none
// of another key.
static void keep_keys(std::vector<block_key>& keys, const std::vector<bool>& keep) {
  std::size_t at = 0;     // event
  std::uint32_t kept = 0; // events before it that stay
  std::size_t keys_kept = 0;
  for (auto key : keys) {
    for (; at < key.first; ++at)
      kept += keep[at];
    const auto first = kept;
    for (; at < key.first + key.count; ++at)
      kept += keep[at];
    if (kept == first) continue;
    key.first = first;
    key.count = kept - first;
    keys[keys_kept++] = key;
  }
  keys.resize(keys_kept);
}

void event_block::keep_only(const std::vector<bool>& keep) {
  PENSTOCK_ASSERT(keep.size() == events.size());
  if (!keys.empty()) keep_keys(keys, keep);
  std::size_t kept = 0;
  std::size_t begin = 0;
  std::size_t kept_bytes = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const std::size_t end = events[i].end;
    if (keep[i]) {
      const std::size_t length = end - begin;
      if (kept_bytes != begin)
        std::copy_n(bodies.begin() + static_cast<std::ptrdiff_t>(begin), length,
                    bodies.begin() + static_cast<std::ptrdiff_t>(kept_bytes));
      kept_bytes += length;
      events[kept] = events[i];
      events[kept].end = static_cast<std::uint32_t>(kept_bytes);
      ++kept;
    }
    begin = end;
  }
  events.resize(kept);
  bodies.resize(kept_bytes);
}

bool is_consistent(const event_block& block) {
  if (block.empty() || block.size() > max_events_per_block || block.first_seq == 0 ||
      block.first_seq > std::numeric_limits<std::int64_t>::max() - block.size() ||
      block.stream.empty() || block.attributes.empty() || !block.attributes[0].empty())
    return false;
  std::uint32_t end = 0;
  for (const auto& event : block.events) {
    if (event.end < end || event.type >= block.content_types.size() ||
        event.attributes >= block.attributes.size())
      return false;
    end = event.end;
  }
  return end == block.bodies.size();
}

} // namespace penstock
