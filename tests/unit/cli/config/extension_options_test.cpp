// Keys of extensions are read and checked as all others are.
#include "cli/config/extension_options.hpp"
#include "config_support.hpp"

#include <catch2/catch.hpp>
#include <toml++/toml.h>

using namespace penstock;
using namespace penstock::test;
using Catch::Contains;

namespace {

const std::vector<extension>& sample_extensions() {
  using type = extension_key::type;
  static const std::vector<extension> all{
      {"sample",
       "What it is for.",
       {{"every", type::duration, "10s", "1m", "How often.", 1'000, 60'000},
        {"most", type::number, "5", "7", "How many.", 1, 9},
        {"room", type::size, "1KiB", "2KiB", "How much.", 1, 4096},
        {"word", type::text, "a", "b", "What it says.", 0, 0},
        {"on", type::flag, "true", "false", "Whether.", 0, 0}},
       {}}};
  return all;
}

/// The problems of one value.
std::string set_option(const option& row, const std::string& toml_value) {
  const auto document = toml::parse("value = " + toml_value);
  problem_list problems;
  row.read.set(*document.get("value"), {&problems, {"test", false}, row.key, "", ""});
  return problems.text();
}

} // namespace

TEST_CASE("keys of an extension have rows in the option table", "[config]") {
  std::map<std::string, extension_values> values;
  const auto rows = extension_options(values, sample_extensions());
  REQUIRE(rows.size() == 5);
  CHECK(rows[0].key == "extensions.sample.every");
  CHECK(rows[0].read.type == "a duration from 1s to 1m");
  CHECK(set_option(rows[0], "\"30s\"").empty());
  CHECK(set_option(rows[1], "8").empty());
  CHECK(set_option(rows[2], "\"2KiB\"").empty());
  CHECK(set_option(rows[3], "\"hello\"").empty());
  CHECK(set_option(rows[4], "true").empty());
  const auto& sample = values.at("sample");
  CHECK(sample.at("every").duration_ms == std::chrono::seconds{30});
  CHECK(sample.at("most").number == 8);
  CHECK(sample.at("room").number == 2048);
  CHECK(sample.at("word").text == "hello");
  CHECK(sample.at("on").flag);
}

TEST_CASE("wrong values of an extension's keys are told", "[config]") {
  std::map<std::string, extension_values> values;
  const auto rows = extension_options(values, sample_extensions());
  CHECK(set_option(rows[0], "\"2m\"").find("out of range") != std::string::npos);
  CHECK(set_option(rows[1], "10").find("out of range") != std::string::npos);
  CHECK(set_option(rows[2], "\"much\"").find("is not") != std::string::npos);
  CHECK(set_option(rows[3], "1").find("is not a text") != std::string::npos);
  CHECK(set_option(rows[4], "\"yes\"").find("neither true nor false") != std::string::npos);
}

TEST_CASE("a file, the environment and --set give an extension's keys their values", "[config]") {
  const scratch_directory directory;
  config_sources sources;
  const auto load = [&](const std::string& text) {
    sources.file = directory.write("node.toml", text);
    return load_config(sources, sample_extensions());
  };
  const auto defaults = load("");
  REQUIRE(defaults.has_value());
  CHECK(defaults->extensions.at("sample").at("every").duration_ms == std::chrono::seconds{10});

  sources.environment = {{"PENSTOCK_EXTENSIONS_SAMPLE_MOST", "9"}};
  sources.sets = {"extensions.sample.on=false"};
  const auto given = load("[extensions.sample]\nevery = '1m'\nmost = 8\nword = 'hello'\n");
  REQUIRE(given.has_value());
  const auto& sample = given->extensions.at("sample");
  CHECK(sample.at("every").duration_ms == std::chrono::minutes{1});
  CHECK(sample.at("most").number == 9);
  CHECK(sample.at("word").text == "hello");
  CHECK_FALSE(sample.at("on").flag);
  CHECK(sample.at("room").number == 1024);

  sources = {};
  const auto fault = [&](const std::string& text) {
    const auto loaded = load(text);
    return loaded ? "" : loaded.error().message;
  };
  CHECK_THAT(fault("[extensions.sample]\nmost = 10\n"),
             Contains("node.toml:2: extensions.sample.most"));
  CHECK_THAT(fault("[extensions.sample]\nmots = 8\n"), Contains("did you mean"));
  CHECK_THAT(fault("[extensions.other]\nmost = 8\n"),
             Contains("extensions.other") && Contains("there is no such key"));
}

TEST_CASE("the reference says what each extension is for", "[config]") {
  CHECK(extensions_help(sample_extensions()).ends_with("`[extensions.sample]`: What it is for."));
}
