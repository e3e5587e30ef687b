// The rows of the option table for sinks: those that all kinds have, and those that kinds say
// themselves (net/sinks/sink_kinds.hpp).
#include "cli/config/options.hpp"

#include "net/sinks/sink_kinds.hpp"

#include <fmt/format.h>

namespace penstock {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t sink_KiB = 1024, sink_GiB = 1024 * 1024 * sink_KiB;
constexpr std::size_t min_sink_secret_chars = 1;

text_check anything() {
  return [](const std::string& text) {
    return text.empty() ? std::string{"the text is empty"} : std::string{};
  };
}

// { Name = "value" }; an error names the entry but never repeats its value.
reader read_pairs(text_pairs& field) {
  auto set = [&field](const toml::node& value, const reporter& report) {
    const auto* table = value.as_table();
    if (!table) return report(value, "the value is not a table");
    if (table->size() > pairs_field::max_pairs)
      return report(value, fmt::format("more than {} entries", pairs_field::max_pairs));
    text_pairs pairs;
    for (const auto& [name, entry] : *table) {
      const auto* text = entry.as_string();
      const auto line_break = text && text->get().find_first_of("\r\n") != std::string::npos;
      if (!text || line_break)
        return report(entry, fmt::format("{} is not a text of one line", name.str()));
      pairs.emplace(name.str(), text->get());
    }
    field = std::move(pairs);
  };
  return {value_kind::tables, "a table of texts", std::move(set)};
}

reader read_into(std::string& value, const text_field& takes) {
  return read_text(value, std::string{takes.what}, anything());
}

reader read_into(std::string& value, const secret_field&) {
  return read_secret(value, min_sink_secret_chars);
}

reader read_into(std::string& value, const choice_field& takes) {
  choices<std::string> known;
  for (const auto& choice : takes.choices)
    known.emplace_back(choice, choice);
  return read_choice(value, std::move(known));
}

reader read_into(std::uint64_t& value, const number_field& takes) {
  return read_number(value, takes.min, takes.max);
}

reader read_into(bool& value, const flag_field&) {
  return read_flag(value);
}

reader read_into(text_pairs& value, const pairs_field&) {
  return read_pairs(value);
}

// Keeps what was read under the key's name: which kind's settings it goes to is known at the end.
template <class Field>
reader keep_value(sink_values& values, const std::string& name, const Field& takes) {
  using value_type = std::remove_pointer_t<decltype(takes.to)>;
  value_type unset{};
  auto out = read_into(unset, takes);
  out.set = [&values, name, takes](const toml::node& node, const reporter& report) {
    value_type value{};
    const auto told_before = report.problems->size();
    read_into(value, takes).set(node, report);
    if (report.problems->size() == told_before) values.insert_or_assign(name, std::move(value));
  };
  return out;
}

option option_of(const sink_key& key, sink_values& values) {
  auto read =
      std::visit([&](const auto& takes) { return keep_value(values, key.name, takes); }, key.field);
  return {"sinks.NAME." + key.name, std::move(read), key.fallback, key.example, key.help};
}

std::vector<option> delivery_options(delivery_settings& t) {
  return {
      {"sinks.NAME.lanes", read_number(t.lanes, 1, 64), "4", "16",
       "Batches under way at one time; all events of a client go through the same lane."},
      {"sinks.NAME.batch_events", read_number(t.batch_events, 0, 10'000), "0", "500",
       "Most events in a batch; 0: as suits the kind."},
      {"sinks.NAME.batch_bytes", read_size(t.batch_bytes, 0, sink_GiB), "0B", "256KiB",
       "Most bytes of bodies in a batch; 0B: as suits the kind."},
      {"sinks.NAME.linger", read_duration(t.linger_ms, 0ms, 1min), "5ms", "100ms",
       "How long a batch that is not full waits for more."},
      {"sinks.NAME.timeout", read_duration(t.timeout_ms, 100ms, 10min), "10s", "30s",
       "How long a batch may take to be confirmed; then it is tried again."},
      {"sinks.NAME.retry_min", read_duration(t.retry_min_ms, 1ms, 1min), "100ms", "1s",
       "The pause after a first failure; each further one is twice as long."},
      {"sinks.NAME.retry_max", read_duration(t.retry_max_ms, 1ms, 1h), "30s", "5m",
       "The longest pause between tries."},
      {"sinks.NAME.max_tries", read_number(t.max_tries, 1, 1000), "5", "1",
       "How often an event is offered that the sink refuses for what it is; then it becomes a dead "
       "letter. Outages do not count."},
      {"sinks.NAME.missing_target_after", read_duration(t.missing_target_after_ms, 0ms, 30 * 24h),
       "10m", "1h",
       "How long a stream waits for a topic, queue, subject or path of its own that is not there; "
       "then its events are dead letters. 0s: for ever."},
  };
}

} // namespace

std::vector<option> sink_options(sink_settings& target) {
  choices<std::string> kinds{{"embedded", "embedded"}};
  for (const auto& kind : all_sink_kinds())
    kinds.emplace_back(kind.name, kind.name);
  std::vector<option> rows{
      {"sinks.NAME.kind", read_choice(target.kind, std::move(kinds)), "embedded", "nats",
       "What it is; the other keys are of the kinds that they name. The embedded queue, which "
       "consumers read through the admin plane, has none."}};
  const auto add_keys = [&](sink_key_part first, sink_key_part last) {
    for (const auto& key : all_sink_keys())
      if (first <= key.part && key.part <= last) rows.push_back(option_of(key, target.values));
  };
  add_keys(sink_key_part::target, sink_key_part::tuning);
  rows.push_back({"sinks.NAME.source", read_text(target.source, "a URI reference", anything()),
                  "/penstock/NODE", "/penstock/eu",
                  "The source of CloudEvents that are made here."});
  auto delivery = delivery_options(target.delivery);
  std::move(delivery.begin(), delivery.end(), std::back_inserter(rows));
  add_keys(sink_key_part::credentials, sink_key_part::certificates);
  return rows;
}

} // namespace penstock
