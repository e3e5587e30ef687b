#include "net/sinks/sink_kinds.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace penstock;

namespace {

struct plain_settings {
  std::string url;
  std::uint64_t max_len = 7;
  bool tls = false;
  text_pairs headers;
};

std::vector<sink_key> plain_keys(plain_settings& to) {
  return {{"url", text_field{&to.url, "a URL"}, "", "x://", "plain: where.", sink_key_part::target,
           true},
          {"max_len", number_field{&to.max_len, 0, 9}, "7", "8", "plain: how many."},
          {"tls", flag_field{&to.tls}, "false", "true", "plain: with TLS."},
          {"headers", pairs_field{&to.headers}, "{}", "{ a = \"b\" }", "plain: more."}};
}

} // namespace

TEST_CASE("values go to the fields of their keys, and what was not set stays") {
  plain_settings settings;
  const sink_values values{{"url", "x://h"}, {"tls", true}, {"headers", text_pairs{{"a", "b"}}}};
  REQUIRE(store_values(values, plain_keys(settings), "out"));
  CHECK(settings.url == "x://h");
  CHECK(settings.tls);
  CHECK(settings.max_len == 7);
  CHECK(settings.headers == text_pairs{{"a", "b"}});
}

TEST_CASE("a value that is no kind's own is an error that names its key, not the value") {
  plain_settings settings;
  const auto stranger = store_values({{"topic", "secret"}}, plain_keys(settings), "out");
  REQUIRE(stranger.has_error());
  CHECK(stranger.error().message == "sinks.out.topic: its kind has no such key");
  const auto wrong = store_values({{"max_len", "secret"}}, plain_keys(settings), "out");
  REQUIRE(wrong.has_error());
  CHECK(wrong.error().code == errc::config);
  CHECK(wrong.error().message == "sinks.out.max_len: it takes other values");
}

TEST_CASE("the first needed key that is not set is told") {
  plain_settings settings;
  const auto keys = plain_keys(settings);
  const auto* missing = missing_key({{"tls", true}}, keys);
  REQUIRE(missing);
  CHECK(missing->name == "url");
  CHECK_FALSE(missing_key({{"url", "x://h"}}, keys));
}

TEST_CASE("kinds that share a key agree on what it takes and on its default") {
  for (const auto& all : all_sink_keys())
    for (const auto& kind : all_sink_kinds())
      for (const auto& key : kind.keys)
        if (key.name == all.name) {
          INFO(kind.name << ' ' << key.name);
          CHECK(key.field.index() == all.field.index());
          CHECK(key.fallback == all.fallback);
          CHECK(key.part == all.part);
        }
}

TEST_CASE("each kind has a name and keys of its own, and no key twice") {
  std::set<std::string_view> names;
  for (const auto& kind : all_sink_kinds()) {
    INFO(kind.name);
    CHECK(kind.name != "embedded");
    CHECK(names.insert(kind.name).second);
    CHECK(find_sink_kind(kind.name) == &kind);
    std::set<std::string> keys;
    for (const auto& key : kind.keys)
      CHECK(keys.insert(key.name).second);
  }
  CHECK_FALSE(find_sink_kind("embedded"));
}

TEST_CASE("a key that several kinds have stands once, with what each says of it") {
  const auto& keys = all_sink_keys();
  const auto stream = std::ranges::find(keys, "stream", &sink_key::name);
  REQUIRE(stream != keys.end());
  CHECK(stream->help == "nats: the JetStream stream that must take the events. kinesis: the data "
                        "stream. Needed for kinesis.");
  // Two kinds say the same of it.
  const auto file = std::ranges::find(keys, "credentials_file", &sink_key::name);
  REQUIRE(file != keys.end());
  CHECK(file->help ==
        "nats: a .creds file. kinesis, sqs: the shared credentials file, if it is not "
        "~/.aws/credentials.");
  CHECK(std::ranges::count(keys, "url", &sink_key::name) == 1);
  CHECK(std::ranges::is_sorted(keys, {}, &sink_key::part));
}

TEST_CASE("a sink is made of values as the configuration gives them") {
  sink_settings settings;
  settings.kind = "http";
  settings.values["url"] = "http://127.0.0.1:1/";
  CHECK(make_sink(settings, {"out", "a"}).has_value());
  settings.values["topic"] = "t";
  CHECK(make_sink(settings, {"out", "a"}).error().message ==
        "sinks.out.topic: its kind has no such key");
  settings.kind = "none";
  CHECK(make_sink(settings, {"out", "a"}).error().message == "sinks.out.kind: there is no 'none'");
}
