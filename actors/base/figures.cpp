#include "actors/base/figures.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace penstock {

namespace {

// What Prometheus takes, and this project uses: lower case, digits, '_'.
bool is_figure_name(std::string_view name) {
  return name.starts_with("penstock_") && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

} // namespace

void labelled_counter::add(std::string_view value, std::uint64_t n) {
  if (const auto known = place_.find(value); known != place_.end())
    return slots_[known->second].count.add(n);
  const auto used = used_.load(std::memory_order_relaxed);
  if (used == max_label_values || value == other_label_value) return others_.add(n);
  slots_[used].value = value;
  slots_[used].count.add(n);
  place_.emplace(value, used);
  used_.store(used + 1, std::memory_order_release);
}

std::vector<std::pair<std::string, std::uint64_t>> labelled_counter::values() const {
  std::vector<std::pair<std::string, std::uint64_t>> out;
  const auto used = used_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < used; ++i)
    out.emplace_back(slots_[i].value, slots_[i].count.value());
  if (const auto others = others_.value(); others > 0)
    out.emplace_back(std::string{other_label_value}, others);
  return out;
}

void actor_figures::add(figure what) {
  PENSTOCK_ASSERT(is_figure_name(what.name));
  PENSTOCK_ASSERT(what.name.starts_with("penstock_" + actor_ + "_")); // nobody else has it
  PENSTOCK_ASSERT(
      std::ranges::none_of(all_, [&what](const figure& each) { return each.name == what.name; }));
  all_.push_back(std::move(what));
}

void actor_figures::add_plain(figure_kind kind, std::string name, std::string help,
                              std::function<double()> read) {
  add({std::move(name), std::move(help), kind, [read = std::move(read)] {
         return std::vector<figure_value>{{{}, {}, read()}};
       }});
}

} // namespace penstock
