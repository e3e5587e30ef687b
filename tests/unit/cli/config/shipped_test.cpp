#include "cli/config/config.hpp"
#include "cli/config/summary.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace penstock;

// The test program runs in the project's directory.
TEST_CASE("every configuration that ships loads") {
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{"cluster-config"}) {
    if (entry.path().extension() != ".toml") continue;
    ++found;
    CAPTURE(entry.path().string());
    config_sources sources;
    sources.file = entry.path().string();
    const auto loaded = load_config(sources);
    CHECK((loaded.has_error() ? loaded.error().message : "") == "");
    if (loaded.has_value()) CHECK_FALSE(summary_text(*loaded).empty());
  }
  CHECK(found == 7);
}

TEST_CASE("docs/configuration.md is what the option table says") {
  std::ifstream file{"docs/configuration.md"};
  std::stringstream text;
  text << file.rdbuf();
  // When this fails: penstock check --reference > docs/configuration.md
  CHECK((text.str() == configuration_reference()));
}

TEST_CASE("the summary's JSON keeps its shape") {
  const auto text = summary_json(*load_config({}));
  using Catch::Matchers::Contains;
  CHECK_THAT(text, Contains(R"("identity":{"order":["ip"]})"));
  CHECK_THAT(text, Contains(R"("http":{"listen":"127.0.0.1:8080","threads":0})"));
  CHECK_THAT(text, Contains(R"("limits":[{"name":"default","algorithm":"gcra","amount":100,)"
                            R"("window":"1s","burst":200}])"));
}
