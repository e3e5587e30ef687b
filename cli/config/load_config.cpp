#include "actors/streams/stream_settings.hpp"
#include "cli/config/config_checks.hpp"
#include "cli/config/config_layers.hpp"
#include "cli/config/config_shape.hpp"

#include <algorithm>
#include <map>
#include <sstream>

namespace penstock {
namespace {

// A table of rows that store into a configuration, and what is known of its keys.
class loader {
 public:
  loader(problem_list& problems, const std::vector<extension>& extra);

  void apply(const assignment& given);
  /// From here on a stream that is new follows "default".
  void settle_default_stream() { default_stream_ = config_.streams["default"]; }
  config finish();

 private:
  std::vector<option> rows_for(const assignment& given);
  const option* find(const std::vector<option>& rows, const std::string& key) const;
  void make(const std::string& key, const std::string& name);

  problem_list& problems_;
  config config_;
  config_origins origins_;
  stream_settings default_stream_;
  std::vector<option> fixed_rows_;
};

// Stores a row's default by way of its reader, so that the table is the one place to look.
void store_fallback(const option& row) {
  problem_list none;
  toml::table document;
  if (row.read.kind == value_kind::text) {
    document.insert("value", row.fallback);
  } else {
    document = toml::parse("value = " + row.fallback);
  }
  row.read.set(*document.get("value"), {&none, {"default", false}, row.key, "", ""});
}

loader::loader(problem_list& problems, const std::vector<extension>& extra)
    : problems_(problems), fixed_rows_(node_options(config_, extra)) {
  for (const auto& row : fixed_rows_)
    store_fallback(row);
  make("plans.anonymous", "anonymous");
  make("sinks.queue", "queue");
  make("streams.default", "default");
}

// Adds a plan, stream, sink or override with the defaults, unless it is there.
void loader::make(const std::string& key, const std::string& name) {
  if (key.starts_with("plans.")) {
    const auto [place, fresh] = config_.plans.try_emplace(name);
    place->second.name = name;
    if (fresh)
      for (const auto& row : plan_options(place->second))
        store_fallback(row);
  } else if (key.starts_with("streams.")) {
    config_.streams.try_emplace(name, default_stream_);
  } else if (key.starts_with("overrides.")) {
    config_.overrides.try_emplace(name);
  } else {
    config_.sinks.try_emplace(name);
  }
}

std::vector<option> loader::rows_for(const assignment& given) {
  make(given.key, given.name);
  if (given.key.starts_with("plans.")) return plan_options(config_.plans.at(given.name));
  if (given.key.starts_with("streams.")) return stream_options(config_.streams.at(given.name));
  if (given.key.starts_with("overrides."))
    return override_options(config_.overrides.at(given.name));
  return sink_options(config_.sinks.at(given.name));
}

const option* loader::find(const std::vector<option>& rows, const std::string& key) const {
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [&](const option& candidate) { return candidate.key == key; });
  return row == rows.end() ? nullptr : &*row;
}

void loader::apply(const assignment& given) {
  const auto named_rows = given.name.empty() ? std::vector<option>{} : rows_for(given);
  if (!given.value) return;
  const auto* row = find(given.name.empty() ? fixed_rows_ : named_rows, given.row);
  const auto told_before = problems_.size();
  row->read.set(*given.value,
                {&problems_, given.source, given.key, row->read.type, as_toml(*row, row->example)});
  if (problems_.size() != told_before) origins_.wrong.insert(given.key);
  origins_.place[given.key] = place(given.source, given.at);
  std::ostringstream text;
  given.value->visit([&](const auto& value) { text << value; });
  config_.given[given.key] = text.str();
}

config loader::finish() {
  // Nodes may share one list of peers: each leaves itself out.
  std::erase(config_.cluster.peers, config_.cluster.listen);
  check_together(config_, origins_, problems_);
  return std::move(config_);
}

bool of_other_stream(const assignment& given) {
  return given.key.starts_with("streams.") && given.name != "default";
}

} // namespace

result<config> load_config(const config_sources& sources, const std::vector<extension>& extra) {
  problem_list problems;
  const config_shape shape{extra};
  const auto layers = read_layers(sources, shape, problems);
  loader load{problems, extra};
  for (const auto& given : layers.assignments)
    if (!of_other_stream(given)) load.apply(given);
  load.settle_default_stream();
  for (const auto& given : layers.assignments)
    if (of_other_stream(given)) load.apply(given);
  auto loaded = load.finish();
  if (!problems.empty()) return error{errc::config, problems.text()};
  return loaded;
}

} // namespace penstock
