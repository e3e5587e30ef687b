#include "net/sinks/redis/redis_batch.hpp"
#include "net/sinks/redis/redis_sink.hpp"
#include "net/sinks/redis/redis_url.hpp"

#include <catch2/catch.hpp>

using namespace penstock;
using namespace std::string_literals;
using Catch::Contains;

namespace {

using redis_kind_of = redis_reply::kind;
const redis_reply redis_ok{.is = redis_kind_of::status, .text = "OK"};
const redis_reply redis_queued{.is = redis_kind_of::status, .text = "QUEUED"};
const redis_reply redis_entry{.is = redis_kind_of::text, .text = "1-0"};
const redis_reply redis_nothing{.is = redis_kind_of::nil};

redis_reply redis_failure(std::string text) {
  return {.is = redis_kind_of::error, .text = std::move(text)};
}
redis_reply redis_array(std::vector<redis_reply> elements) {
  return {.is = redis_kind_of::array, .elements = std::move(elements)};
}

sink_batch redis_test_batch(std::size_t events) {
  auto block = std::make_shared<event_block>();
  block->first_seq = 7;
  block->stream = "s";
  block->content_types = {"text/plain"};
  for (std::size_t i = 0; i < events; ++i)
    block->push("e" + std::to_string(i), "text/plain", 1);
  sink_batch out{.stream = "s", .tag = "abcdefgh", .again = {}, .lane = "0/4", .events = {}};
  for (std::uint32_t i = 0; i < events; ++i)
    out.events.push_back({block, i});
  return out;
}

std::string redis_url_fault(const std::string& url) {
  const auto parsed = parse_redis_url(url);
  return parsed.has_error() ? parsed.error().message : std::string{};
}

} // namespace

TEST_CASE("redis: a url says where, with what password, and which database") {
  const auto plain = parse_redis_url("redis://host.example");
  REQUIRE(plain.has_value());
  CHECK(plain->name() == "host.example:6379");
  CHECK_FALSE(plain->tls);
  CHECK(plain->password.empty());
  CHECK(plain->database == 0);

  const auto all = parse_redis_url("rediss://me:p%40ss%2Fword@[::1]:7000/3");
  REQUIRE(all.has_value());
  CHECK(all->name() == "[::1]:7000");
  CHECK(all->host == "::1");
  CHECK(all->tls);
  CHECK(all->username == "me");
  CHECK(all->password == "p@ss/word");
  CHECK(all->database == 3);

  const auto without_user = parse_redis_url("redis://:word@h/");
  REQUIRE(without_user.has_value());
  CHECK(without_user->username.empty());
  CHECK(without_user->password == "word");
}

TEST_CASE("redis: a bad url is told without its password") {
  CHECK_THAT(redis_url_fault("http://:secret@h"), Contains("scheme") && Contains("redis://"));
  CHECK_THAT(redis_url_fault("redis://:secret@h:70000"), Contains("ort"));
  CHECK_THAT(redis_url_fault("redis://:secret@h:0"), Contains("port"));
  CHECK_THAT(redis_url_fault("redis://:secret@h/x"), Contains("database"));
  CHECK_THAT(redis_url_fault("redis://:secret@h/1?a=b"), Contains("?"));
  CHECK_THAT(redis_url_fault(""), Contains("redis://"));
  for (const auto* url : {"http://:secret@h", "redis://:secret@h:70000", "redis://:secret@h:0",
                          "redis://:secret@h/x", "redis://:secret@h/1?a=b", "redis://:secret@"})
    CHECK_THAT(redis_url_fault(url), !Contains("secret") && !Catch::Equals(""));
}

TEST_CASE("redis: settings that can't work are named") {
  const auto fault = [](const redis_sink_settings& settings) {
    const auto made = make_redis_sink(settings, {.name = "r", .node_name = "n"});
    return made.has_error() ? made.error().message : std::string{};
  };
  redis_sink_settings good;
  good.url = "redis://127.0.0.1";
  good.key = "events:{stream}";
  CHECK(fault(good).empty());
  auto bad = good;
  bad.key.clear();
  CHECK_THAT(fault(bad), Contains("sinks.r.key"));
  bad = good;
  bad.url = "nats://h";
  CHECK_THAT(fault(bad), Contains("sinks.r.url"));
  bad = good;
  bad.username = "me";
  CHECK_THAT(fault(bad), Contains("sinks.r.password"));
  bad = good;
  bad.url = "rediss://h";
  bad.certificates.ca_file = "/nowhere/ca.pem";
  CHECK_THAT(fault(bad), Contains("sinks.r.ca_file"));
  bad.certificates.ca_file.clear();
  bad.certificates.key_file = "/nowhere/key.pem";
  CHECK_THAT(fault(bad), Contains("sinks.r.cert_file"));
}

TEST_CASE("redis: commands hold any bytes; replies come in pieces") {
  std::string out;
  append_redis_command(out, {"SET", "k", "a\r\n\0b"s});
  CHECK(out == "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\n\0b\r\n"s);

  redis_reader reader;
  CHECK_FALSE(reader.next()->has_value());
  const auto bytes = "+OK\r\n-OOM no\r\n:5\r\n$-1\r\n*2\r\n$1\r\nx\r\n*0\r\n"s;
  std::vector<redis_reply> got;
  for (const char c : bytes) {
    reader.feed({&c, 1});
    while (auto reply = *reader.next())
      got.push_back(*reply);
  }
  REQUIRE(got.size() == 5);
  CHECK(got[0].text == "OK");
  CHECK(got[1].is_error());
  CHECK(got[1].text == "OOM no");
  CHECK(got[2].number == 5);
  CHECK(got[3].is == redis_kind_of::nil);
  REQUIRE(got[4].elements.size() == 2);
  CHECK(got[4].elements[0].text == "x");

  redis_reader other;
  other.feed("HTTP/1.1 400 Bad Request\r\n");
  CHECK(other.next().has_error());
}

TEST_CASE("redis: a cursor lies in its stream's slot") {
  const auto batch = redis_test_batch(1);
  CHECK(redis_cursor_key("events:s", batch) == "{events:s}:penstock:s:abcdefgh:0/4");
  CHECK(redis_cursor_key("{t}:s", batch) == "{t}:s:penstock:s:abcdefgh:0/4");
  CHECK(redis_cursor_key("{}:s", batch) == "{{}:s}:penstock:s:abcdefgh:0/4");
}

TEST_CASE("redis: a batch is one transaction that ends with the cursor") {
  const auto batch = redis_test_batch(3);
  outgoing_form form{"/penstock/n"};
  std::string out;
  const redis_target to{.key = "k", .cursor = "c", .max_len = 50};
  CHECK(append_redis_transaction(out, form, batch, 1, to) == 5);
  redis_reader reader;
  reader.feed(out);
  std::vector<std::vector<std::string>> commands;
  while (auto command = *reader.next()) {
    auto& words = commands.emplace_back();
    for (const auto& word : command->elements)
      words.push_back(word.text);
  }
  REQUIRE(commands.size() == 5);
  CHECK(commands[0] == std::vector{"MULTI"s});
  REQUIRE(commands[1].size() == 10);
  CHECK(commands[1][0] == "XADD");
  CHECK(commands[1][4] == "50");
  CHECK(commands[1][7] == "0000000000000008-abcdefgh");
  CHECK_THAT(commands[1][9], Contains(R"("data":"e1")"));
  CHECK_THAT(commands[2][9], Contains(R"("data":"e2")"));
  CHECK(commands[3] == std::vector{"SET"s, "c"s, "9"s});
  CHECK(commands[4] == std::vector{"EXEC"s});

  out.clear();
  CHECK(append_redis_transaction(out, form, batch, 0, {.key = "k"}) == 5);
  CHECK(out.find("SET") == out.npos);
  CHECK(out.find("MAXLEN") == out.npos);
}

TEST_CASE("redis: what a transaction's answers mean") {
  SECTION("taken") {
    const auto read =
        read_redis_transaction(std::vector{redis_ok, redis_queued, redis_queued, redis_queued,
                                           redis_array({redis_entry, redis_entry, redis_ok})},
                               2);
    CHECK(read.committed);
    CHECK(read.taken == 2);
    CHECK(read.why.empty());
  }
  SECTION("someone else moved the cursor") {
    const auto read =
        read_redis_transaction(std::vector{redis_ok, redis_queued, redis_queued, redis_nothing}, 1);
    CHECK(read.moved);
    CHECK_FALSE(read.committed);
    CHECK(read.taken == 0);
  }
  SECTION("one command could not be queued: nothing is taken, and its reason is told") {
    for (const auto* why : {"OOM command not allowed", "READONLY You can't write", "MISCONF Redis",
                            "NOPERM this user has no permissions", "LOADING Redis is loading"}) {
      const auto read = read_redis_transaction(
          std::vector{redis_ok, redis_queued, redis_failure(why), redis_queued,
                      redis_failure("EXECABORT Transaction discarded")},
          2);
      CHECK_FALSE(read.committed);
      CHECK(read.taken == 0);
      CHECK_THAT(read.why, Contains(why) && Contains("; ") && !Contains("EXECABORT"));
    }
  }
  SECTION("events failed inside of it") {
    const auto wrong = redis_failure("WRONGTYPE Operation against a key");
    const auto read =
        read_redis_transaction(std::vector{redis_ok, redis_queued, redis_queued, redis_queued,
                                           redis_array({redis_entry, wrong, redis_ok})},
                               2);
    CHECK(read.committed);
    CHECK(read.taken == 1);
    CHECK_THAT(read.why, Contains("WRONGTYPE") && Contains("another key"));
  }
}

TEST_CASE("redis: what a watch finds") {
  const redis_reply number{.is = redis_kind_of::text, .text = "42"};
  const redis_reply word{.is = redis_kind_of::text, .text = "x"};
  const auto type = [](std::string name) {
    return redis_reply{.is = redis_kind_of::status, .text = std::move(name)};
  };
  CHECK(*read_redis_watch(std::vector{redis_ok, number, type("stream")}) == 42);
  CHECK(*read_redis_watch(std::vector{redis_ok, redis_nothing, type("none")}) == 0);
  CHECK_THAT(read_redis_watch(std::vector{redis_ok, number, type("list")}).error().message,
             Contains("WRONGTYPE the key holds a list"));
  CHECK(read_redis_watch(std::vector{redis_ok, word, type("stream")}).has_error());
  CHECK_THAT(read_redis_watch(std::vector{redis_failure("NOPERM no"), redis_nothing, type("none")})
                 .error()
                 .message,
             Contains("+watch"));
}
