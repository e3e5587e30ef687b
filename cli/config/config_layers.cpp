#include "cli/config/config_layers.hpp"

#include "actors/base/did_you_mean.hpp"
#include "cli/config/config_shape.hpp"

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <optional>

extern char** environ;

namespace penstock {
namespace {

constexpr std::string_view environment_prefix = "PENSTOCK_";

class layer_reader {
 public:
  layer_reader(config_layers& layers, const config_shape& shape, problem_list& problems)
      : layers_(layers), shape_(shape), problems_(problems) {}

  void read_file(const std::string& path);
  void read_variable(const std::string& variable, const std::string& text);
  void read_set(const std::string& argument);

 private:
  void read_section(const toml::key& section, const toml::node& value);
  void read_table(const std::string& name, const toml::table& table);
  void read_named(std::string_view section, const toml::key& name, const toml::node& value);
  void read_key(std::string key, const toml::key& at, const toml::node& value);
  void assign_text(const std::string& key, const key_meaning& meaning, const std::string& text);
  void complain(const toml::source_region& at, std::string_view key, std::string_view what) {
    problems_.add(fmt::format("{}: {}: {}", place(source_, at), printable(key), what));
  }

  config_layers& layers_;
  const config_shape& shape_;
  problem_list& problems_;
  value_source source_;
  std::map<std::string, std::size_t, std::less<>> named_tables_; // by section
};

result<std::string> read_whole(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::string text(max_config_file_bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.fail() && !file.eof()))
    return error{errc::config, "the file can't be read; check its path and permissions"};
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > max_config_file_bytes)
    return error{errc::config, "the file is larger than 1MiB; is it a configuration?"};
  return text;
}

void layer_reader::read_file(const std::string& path) {
  source_ = {path, true};
  const auto text = read_whole(path);
  if (text.has_error()) return problems_.add(path + ": " + text.error().message);
  try {
    layers_.documents.push_back(toml::parse(std::string_view{*text}));
  } catch (const toml::parse_error& failure) {
    return problems_.add(fmt::format("{}: this is not TOML: {}", place(source_, failure.source()),
                                     printable(failure.description())));
  }
  for (const auto& [section, value] : layers_.documents.back())
    read_section(section, value);
}

void layer_reader::read_section(const toml::key& section, const toml::node& value) {
  if (!shape_.is_section(section.str())) {
    const auto meant = nearest(section.str(), shape_.sections());
    const auto hint = meant.empty()
                          ? fmt::format("there are {}", fmt::join(shape_.sections(), ", "))
                          : fmt::format("did you mean [{}]?", meant);
    return complain(section.source(), section.str(), "there is no such section; " + hint);
  }
  const auto* table = value.as_table();
  if (!table)
    return complain(section.source(), section.str(),
                    fmt::format("this is a section; write [{}] and its keys below", section.str()));
  const auto name = std::string{section.str()};
  if (!config_shape::is_named(name)) return read_table(name, *table);
  for (const auto& [key, below] : *table)
    read_named(name, key, below);
}

// An extension's table is one below its section.
void layer_reader::read_table(const std::string& name, const toml::table& table) {
  for (const auto& [field, below] : table) {
    auto key = fmt::format("{}.{}", name, field.str());
    if (below.is_table() && shape_.is_table(key))
      read_table(key, *below.as_table());
    else
      read_key(std::move(key), field, below);
  }
}

void layer_reader::read_named(std::string_view section, const toml::key& name,
                              const toml::node& value) {
  const auto key = fmt::format("{}.{}", section, name.str());
  if (!is_name(name.str()))
    return complain(name.source(), key, quote(name.str()) + " is not " + std::string{name_rule});
  const auto* table = value.as_table();
  if (!table) return complain(name.source(), key, fmt::format("this is a table; write [{}]", key));
  if (++named_tables_[std::string{section}] > max_named_tables)
    return complain(name.source(), key, fmt::format("more than {} {}", max_named_tables, section));
  layers_.assignments.push_back(
      {key, "", std::string{name.str()}, nullptr, source_, name.source()});
  for (const auto& [field, below] : *table)
    read_key(fmt::format("{}.{}", key, field.str()), field, below);
}

void layer_reader::read_key(std::string key, const toml::key& at, const toml::node& value) {
  const auto meaning = shape_.find(key);
  if (!meaning) return complain(at.source(), key, "there is no such key" + shape_.hint(key));
  layers_.assignments.push_back(
      {std::move(key), meaning->row->key, meaning->name, &value, source_, value.source()});
}

toml::array split_at_commas(const std::string& text) {
  toml::array items;
  std::size_t begin = 0;
  while (begin <= text.size() && !text.empty()) {
    const auto end = std::min(text.find(',', begin), text.size());
    auto item = text.substr(begin, end - begin);
    item.erase(0, item.find_first_not_of(' '));
    item.erase(item.find_last_not_of(' ') + 1);
    items.push_back(std::move(item));
    begin = end + 1;
  }
  return items;
}

// Text from outside a file needs TOML's quotes and brackets only where it would be unclear.
bool is_toml(value_kind kind, const std::string& text) {
  if (kind == value_kind::text) return text.starts_with('"') || text.starts_with('\'');
  return kind != value_kind::list || text.starts_with('[');
}

void layer_reader::assign_text(const std::string& key, const key_meaning& meaning,
                               const std::string& text) {
  const auto kind = meaning.row->read.kind;
  toml::table document;
  if (!is_toml(kind, text)) {
    if (kind == value_kind::list) {
      document.insert("value", split_at_commas(text));
    } else {
      document.insert("value", text);
    }
  } else {
    const auto toml_text = "value = " + text;
    try {
      document = toml::parse(std::string_view{toml_text});
    } catch (const toml::parse_error&) {
      if (kind == value_kind::tables)
        return complain({}, key, "this is not TOML; write, for example, " + meaning.row->example);
      document.insert("value", text); // its reader tells what would do
    }
  }
  layers_.documents.push_back(std::move(document));
  const auto* value = layers_.documents.back().get("value");
  layers_.assignments.push_back({key, meaning.row->key, meaning.name, value, source_, {}});
}

void layer_reader::read_variable(const std::string& variable, const std::string& text) {
  source_ = {"environment " + variable, false};
  if (auto meaning = shape_.find_environment(variable)) {
    // A name that the file has already, "My-Stream" say, is meant by MY_STREAM.
    for (const auto& known : layers_.assignments) {
      if (known.name.empty() || meaning->name.empty()) continue;
      if (environment_name(fill_name(meaning->row->key, known.name)) == variable)
        meaning->name = known.name;
    }
    return assign_text(fill_name(meaning->row->key, meaning->name), *meaning, text);
  }
  // Other programs' variables may begin alike (Kubernetes makes PENSTOCK_SERVICE_HOST of a
  // service's name), so one that resembles no key is left alone.
  std::vector<std::string> names;
  bool in_section = false;
  for (const auto& row : shape_.rows())
    names.push_back(environment_name(row.key).substr(environment_prefix.size()));
  for (const auto& section : shape_.sections())
    in_section |= variable.starts_with(environment_name(section) + "_");
  const auto meant = nearest(variable.substr(environment_prefix.size()), names);
  if (meant.empty() && !in_section) return;
  problems_.add(source_.name + ": there is no such key" +
                (meant.empty() ? "; penstock check --reference lists them all"
                               : fmt::format("; did you mean {}{}?", environment_prefix, meant)));
}

void layer_reader::read_set(const std::string& argument) {
  const auto equals = argument.find('=');
  const auto key = argument.substr(0, equals);
  source_ = {"--set", false};
  if (equals == std::string::npos)
    return complain({}, key, "there is no value; write --set section.key=value");
  const auto meaning = shape_.find(key);
  if (!meaning) return complain({}, key, "there is no such key" + shape_.hint(key));
  if (!meaning->name.empty() && !is_name(meaning->name))
    return complain({}, key, quote(meaning->name) + " is not " + std::string{name_rule});
  assign_text(key, *meaning, argument.substr(equals + 1));
}

} // namespace

config_layers read_layers(const config_sources& sources, const config_shape& shape,
                          problem_list& problems) {
  config_layers layers;
  layer_reader reader{layers, shape, problems};
  if (sources.file) reader.read_file(*sources.file);
  for (const auto& [variable, text] : sources.environment)
    if (variable.starts_with(environment_prefix)) reader.read_variable(variable, text);
  for (const auto& argument : sources.sets)
    reader.read_set(argument);
  return layers;
}

std::map<std::string, std::string> penstock_environment() {
  std::map<std::string, std::string> found;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text{*entry};
    const auto equals = text.find('=');
    if (equals != text.npos && text.starts_with(environment_prefix))
      found.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return found;
}

} // namespace penstock
