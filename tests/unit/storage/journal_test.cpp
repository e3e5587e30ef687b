#include "support.hpp"

#include <algorithm>

using namespace penstock;
using namespace penstock::test;

TEST_CASE("an event comes back as it went in", "[journal]") {
  temporary_dir dir;
  auto log = open_journal(options_in(dir.path()));
  event_block block;
  block.first_seq = log->next_seq();
  block.time_ms = some_time_ms;
  block.stream = "errors";
  const std::string binary{"\0\xff\n\"\\ \x01 text", 13};
  block.push("", "text/plain", 1);
  block.push(binary, "application/\"odd\"\\\x01 \xc3\xa9", 2, R"({"a":"}]\"","b":[{"c":null}]})");
  block.push("last", "text/plain", 3);
  block.push("", "text/plain", 3, R"({"x":1})");
  append_and_commit(*log, block);

  const auto read = read_all(*log, "errors");
  REQUIRE(read.size() == 1);
  const auto& back = *read.front();
  CHECK(back.first_seq == 1);
  CHECK(back.time_ms == some_time_ms);
  CHECK(back.stream == "errors");
  REQUIRE(back.size() == block.size());
  for (std::size_t i = 0; i < block.size(); ++i) {
    CAPTURE(i);
    CHECK(back.body(i) == block.body(i));
    CHECK(back.content_types[back.events[i].type] == block.content_types[block.events[i].type]);
    CHECK(back.attributes[back.events[i].attributes] ==
          block.attributes[block.events[i].attributes]);
    CHECK(back.events[i].client == block.events[i].client);
  }
}

TEST_CASE("the largest block comes back whole", "[journal]") {
  temporary_dir dir;
  auto log = open_journal(options_in(dir.path()));
  event_block block = numbered_block(1, 0);
  for (std::size_t i = 0; i < max_events_per_block; ++i)
    block.push("event " + std::to_string(1 + i), i % 3 == 0 ? "a/b" : "c/d", i,
               i % 5 == 0 ? "{\"i\":" + std::to_string(i) + "}" : "");
  append_and_commit(*log, block);
  const auto read = read_all(*log);
  REQUIRE(read.size() == 1);
  CHECK(numbers(read) == range(1, max_events_per_block));
  const auto& back = *read.front();
  for (std::size_t i = 0; i < max_events_per_block; ++i) {
    if (back.events[i].client != i) FAIL("client of event " << i);
    if (back.attributes[back.events[i].attributes] != block.attributes[block.events[i].attributes])
      FAIL("attributes of event " << i);
  }
}

TEST_CASE("only what was committed is read", "[journal]") {
  temporary_dir dir;
  auto log = open_journal(options_in(dir.path()));
  append_and_commit(*log, numbered_block(1, 10));
  require_ok(log->append(numbered_block(11, 10)));
  CHECK(numbers(read_all(*log)) == range(1, 10));
  CHECK(log->catalog()->durable_seq() == 10);
  require_ok(log->commit());
  CHECK(numbers(read_all(*log)) == range(1, 20));
  CHECK(log->catalog()->durable_seq() == 20);
}

TEST_CASE("what was committed is there after a reopen, and ids are not given twice", "[journal]") {
  temporary_dir dir;
  auto options = options_in(dir.path());
  options.max_unjournaled_events = 1000;
  std::string tag;
  {
    auto log = open_journal(options);
    tag = log->tag();
    CHECK(tag.size() == journal_tag_size);
    CHECK(log->next_seq() == 1);
    append_and_commit(*log, numbered_block(1, 64));
    require_ok(log->append(numbered_block(65, 64))); // never committed
  }
  std::uint64_t before = 64;
  for (int i = 0; i < 3; ++i) {
    recovery_report report;
    auto log = open_journal(options, &report);
    CHECK(log->tag() == tag);
    CHECK(report.events == 64);
    CHECK(report.segments == 1);
    CHECK(report.damaged.empty());
    // The run before this one may have given away as many ids past its first as are allowed.
    CHECK(log->next_seq() >= before + 1000);
    before = log->next_seq();
    CHECK(numbers(read_all(*log)) == range(1, 64));
  }
}

TEST_CASE("segments rotate, and sealed ones are retired", "[journal]") {
  temporary_dir dir;
  auto options = options_in(dir.path());
  auto log = open_journal(options);
  auto keeper = segment_keeper::make(*log, options);
  for (std::uint64_t round = 0; round < 5; ++round) {
    if (round % 2 == 0) require_ok(keeper->prepare());
    append_and_commit(*log, numbered_block(round * 100 + 1, 100));
    require_ok(log->rotate());
  }
  CHECK(numbers(read_all(*log)) == range(1, 500));
  CHECK(log->catalog()->list().size() == 6);

  auto retired = keeper->retire(250, far_future_ms);
  require_ok(retired);
  CHECK(*retired == 2);
  CHECK(numbers(read_all(*log)) == range(201, 500));
  append_and_commit(*log, numbered_block(501, 100));
  log.reset();

  recovery_report report;
  log = open_journal(options, &report);
  CHECK(report.damaged.empty());
  CHECK(report.events == 400);
  CHECK(numbers(read_all(*log)) == range(201, 600));
}
