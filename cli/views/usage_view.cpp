#include "cli/views/usage_view.hpp"

#include "cli/base/readable.hpp"
#include "net/base/rfc3339.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace penstock {
namespace {

namespace json = boost::json;

constexpr std::size_t min_bar_columns = 8, max_bar_columns = 60;
constexpr std::size_t min_label_columns = 16;
constexpr std::size_t number_columns = 4;
constexpr std::array<std::string_view, number_columns> titles{"requests", "events", "bytes",
                                                              "refused"};

std::array<std::uint64_t, number_columns> values_of(const usage_counts& counts) {
  return {counts.requests, counts.events, counts.bytes, counts.refused};
}

std::string text_at(const json::object& from, std::string_view name) {
  return std::string{from.at(name).as_string()};
}

usage_counts counts_at(const json::object& from) {
  const auto number = [&](std::string_view name) {
    return from.at(name).to_number<std::uint64_t>();
  };
  return {number("requests"), number("events"), number("bytes"), number("refused")};
}

// "2026-11-21T20:47:00.000Z" as far as the period tells moments apart.
std::string bucket_label(std::int64_t start_s, usage_period per) {
  auto text = rfc3339(start_s * 1000).substr(0, 16);
  text[10] = ' ';
  return text.substr(0, per == usage_period::month ? 7 : per == usage_period::day ? 10 : 16);
}

// The API leaves out empty buckets; a chart over time must show them.
std::vector<usage_view::row> all_buckets(const json::array& given, std::int64_t from_s,
                                         std::int64_t to_s, usage_period per) {
  std::map<std::int64_t, usage_counts> known;
  for (const auto& bucket : given) {
    const auto start = parse_rfc3339(text_at(bucket.as_object(), "time"));
    if (start) known[*start / 1000] = counts_at(bucket.as_object());
  }
  std::vector<usage_view::row> rows;
  for (auto start = from_s; start < to_s; start = next_bucket_s(per, start)) {
    const auto found = known.find(start);
    rows.push_back(
        {bucket_label(start, per), found == known.end() ? usage_counts{} : found->second});
  }
  return rows;
}

// An id may come from a header: nothing in it may move the cursor or change colours.
std::string printable(std::string text) {
  for (auto& c : text)
    if (const auto byte = static_cast<unsigned char>(c); byte < 0x20 || byte >= 0x7f) c = '?';
  return text;
}

// Of a node that was reached there is nothing to say.
void read_gaps(const json::object& report, std::vector<std::string>& gaps) {
  if (!report.contains("nodes")) return;
  for (const auto& one : report.at("nodes").as_array()) {
    const auto& node = one.as_object();
    if (node.at("source").as_string() != "copy") continue;
    const auto name = printable(text_at(node, "node")) + " (" + printable(text_at(node, "address"));
    gaps.push_back(node.at("known_to").is_null()
                       ? name + ") was not reached; what is known of its usage is not whole"
                       : name + ") was not reached; its usage is known up to " +
                             text_at(node, "known_to"));
  }
  for (const auto& address : report.at("missing").as_array())
    gaps.push_back(printable(std::string{address.as_string()}) +
                   " was not reached; its usage is missing here");
}

usage_view read(const json::object& report) {
  usage_view view;
  view.by = text_at(report, "by");
  view.per = text_at(report, "per");
  view.from = text_at(report, "from");
  view.to = text_at(report, "to");
  view.total = counts_at(report.at("total").as_object());
  read_gaps(report, view.gaps);
  if (report.contains("id")) {
    view.id = text_at(report, "id");
    const auto from = parse_rfc3339(view.from), to = parse_rfc3339(view.to);
    const auto per = parse_usage_period(view.per);
    if (from && to && per)
      view.rows = all_buckets(report.at("buckets").as_array(), *from / 1000, *to / 1000, *per);
    return view;
  }
  view.ids = report.at("ids").to_number<std::uint64_t>();
  for (const auto& one : report.at("top").as_array())
    view.rows.push_back({text_at(one.as_object(), "id"), counts_at(one.as_object())});
  return view;
}

using cells = std::array<std::string, number_columns>;

cells cells_of(const usage_counts& counts, bool short_sizes) {
  cells out;
  const auto values = values_of(counts);
  for (std::size_t i = 0; i < number_columns; ++i)
    out[i] = i == 2 && short_sizes ? size_text(values[i], "") : std::to_string(values[i]);
  return out;
}

std::string heading(const usage_view& view) {
  const auto range = fmt::format("by the {} from {} to {}", view.per, view.from, view.to);
  if (view.id) return fmt::format("{} {}, {}\n", view.by, printable(*view.id), range);
  return fmt::format("top {} of {}: {}, {}\n", view.rows.size(), view.ids, view.by, range);
}

} // namespace

result<usage_view> parse_usage(std::string_view text) {
  try {
    return read(json::parse({text.data(), text.size()}).as_object());
  } catch (const std::exception&) {
    return error{errc::unavailable, "the admin plane's answer is not a usage report; is this the "
                                    "address of a penstock node?"};
  }
}

std::string usage_bar(std::uint64_t value, std::uint64_t most, std::size_t columns,
                      bool can_block) {
  if (value == 0 || most == 0) return {};
  const auto share = static_cast<double>(value) / static_cast<double>(most);
  if (!can_block) {
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(columns) + 0.5);
    return std::string(std::clamp<std::size_t>(filled, 1, columns), '#');
  }
  constexpr std::array<const char*, 8> parts{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  auto eighths = static_cast<std::size_t>(share * static_cast<double>(columns * 8) + 0.5);
  eighths = std::clamp<std::size_t>(eighths, 1, columns * 8);
  std::string bar;
  for (std::size_t i = 0; i < eighths / 8; ++i)
    bar += "█";
  return bar + parts[eighths % 8];
}

std::string usage_table(const usage_view& view, std::string_view order, const output_shape& shape) {
  const bool terminal = shape.width > 0;
  auto label_columns = std::max<std::size_t>(5, view.id ? 4 : view.by.size());
  std::array<std::size_t, number_columns> columns;
  const auto total = cells_of(view.total, terminal);
  for (std::size_t i = 0; i < number_columns; ++i)
    columns[i] = std::max(titles[i].size(), total[i].size());
  std::vector<std::pair<std::string, cells>> lines;
  for (const auto& row : view.rows) {
    lines.emplace_back(printable(row.label), cells_of(row.counts, terminal));
    label_columns = std::max(label_columns, lines.back().first.size());
    for (std::size_t i = 0; i < number_columns; ++i)
      columns[i] = std::max(columns[i], lines.back().second[i].size());
  }
  std::size_t numbers = 0;
  for (const auto one : columns)
    numbers += one + 2;
  if (terminal) { // long ids give way, and then the bars
    const auto taken = numbers + 2 + min_bar_columns;
    const auto room = shape.width > taken ? shape.width - taken : 0;
    label_columns = std::min(label_columns, std::max(min_label_columns, room));
  }
  const auto used = label_columns + numbers + 2;
  auto bar_columns = terminal && shape.width > used ? shape.width - used : 0;
  bar_columns = bar_columns < min_bar_columns ? 0 : std::min(bar_columns, max_bar_columns);

  const auto measure =
      static_cast<std::size_t>(std::find(titles.begin(), titles.end(), order) - titles.begin()) %
      number_columns;
  std::uint64_t most = 0;
  for (const auto& row : view.rows)
    most = std::max(most, values_of(row.counts)[measure]);
  const auto line = [&](std::string_view label, const auto& numbers_of_line) {
    auto text = label.size() > label_columns
                    ? fmt::format("{}...", label.substr(0, label_columns - 3))
                    : fmt::format("{:<{}}", label, label_columns);
    for (std::size_t i = 0; i < number_columns; ++i)
      text += fmt::format("  {:>{}}", numbers_of_line[i], columns[i]);
    return text;
  };
  auto out = heading(view);
  if (lines.empty()) return out + "nothing was counted in this range\n";
  out += line(view.id ? "time" : view.by, titles) + '\n';
  for (std::size_t i = 0; i < lines.size(); ++i) {
    out += line(lines[i].first, lines[i].second);
    const auto bar =
        usage_bar(values_of(view.rows[i].counts)[measure], most, bar_columns, shape.can_block);
    if (bar_columns > 0 && !bar.empty()) out += "  " + bar;
    out += '\n';
  }
  return out + line("total", total) + '\n';
}

} // namespace penstock
