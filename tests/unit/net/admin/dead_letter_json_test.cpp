#include "net/admin/dead_letter_json.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock;
namespace json = boost::json;

TEST_CASE("a letter is told in JSON that always parses", "[letters]") {
  kept_dead_letter kept{.number = 12, .body_bytes = 3, .letter = {}};
  kept.letter.sink = "bus";
  kept.letter.stream = "default";
  kept.letter.tag = "abcdefgh";
  kept.letter.seq = 42;
  kept.letter.reason = "no \xff \"quoted\"";
  kept.letter.body = "\xff\x00z";
  kept.letter.tries = 5;
  dead_letters_page page;
  page.letters = {kept};
  page.tallies = {{"bus", "default", 1, 300}, {"bus", "other", 2, 600}};
  page.next = 12;
  const auto list = json::parse(letters_json(page));
  const auto& letter = list.at("dead_letters").at(0).as_object();
  CHECK(letter.at("id") == "000000000000002a-abcdefgh");
  CHECK(letter.at("reason") == "no ? \"quoted\"");
  CHECK(letter.at("size") == 3);
  CHECK_FALSE(letter.contains("data_base64"));
  CHECK(list.at("totals").at("dead_letters") == 3);
  CHECK(list.at("totals").at("bytes") == 900);
  CHECK(list.at("totals").at("by").as_array().size() == 2);
  CHECK(list.at("next") == 12);
  kept.letter.attributes = R"({"ce_id":"x"})";
  kept.letter.body = "text";
  page.letters.push_back(kept);
  const auto lines = letters_ndjson(page);
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 2);
  const auto first = json::parse(lines.substr(0, lines.find('\n')));
  const auto second = json::parse(lines.substr(lines.find('\n') + 1));
  CHECK(first.at("data_base64").is_string());
  CHECK(second.at("data") == "text");
  CHECK(second.at("attributes").at("ce_id") == "x");
}

TEST_CASE("a job is told with its places as ids", "[replay]") {
  delivery_job job{.kind = job_kind::replay,
                   .number = 7,
                   .stream = "s",
                   .sink = "bus",
                   .from_seq = 1,
                   .to_seq = 32,
                   .rate = 0,
                   .next_seq = 16,
                   .total = 30};
  const auto replay = json::parse(job_json(job, "abcdefgh"));
  CHECK(replay.at("job") == "r7");
  CHECK(replay.at("kind") == "replay");
  CHECK(replay.at("to") == "0000000000000020-abcdefgh");
  CHECK(replay.at("next") == "0000000000000010-abcdefgh");
  CHECK(replay.at("rate").is_null());
  CHECK(replay.at("why").is_null());
  CHECK(replay.at("state") == "running");
  job = {.kind = job_kind::retry, .number = 3, .state = job_state::failed, .why = "no"};
  const auto retry = json::parse(job_json(job, "abcdefgh"));
  CHECK(retry.at("job") == "d3");
  CHECK(retry.at("stream").is_null());
  CHECK_FALSE(retry.as_object().contains("from"));
  CHECK(retry.at("why") == "no");
}
