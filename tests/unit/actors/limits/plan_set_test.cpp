// Plans in force, and limits as text.
#include "actors/limits/limit_text.hpp"
#include "actors/limits/plan_set.hpp"
#include "tests/unit/actors/limits/durations.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

plan_record stored(const std::string& name, const std::string& limits,
                   std::int64_t deleted_ms = 0) {
  return {name, 1, limits, 5, deleted_ms};
}

const std::vector<limit> all_kinds{
    {.name = "burst", .kind = algorithm::gcra, .amount = 20, .window_ns = second_ns, .burst = 40},
    {.name = "steady",
     .kind = algorithm::gcra,
     .amount = 4'000'000'000,
     .window_ns = 5 * second_ns},
    {.name = "fixed", .kind = algorithm::fixed_window, .amount = 1, .window_ns = 90 * second_ns},
    {.name = "sliding",
     .kind = algorithm::sliding_window,
     .amount = 7,
     .window_ns = second_ns / 1000},
    {.name = "pause", .kind = algorithm::interval, .amount = 1, .window_ns = 86'400 * second_ns},
    {.name = "h", .kind = algorithm::calendar, .amount = 2, .unit = calendar_unit::hour},
    {.name = "d", .kind = algorithm::calendar, .amount = 3, .unit = calendar_unit::day},
    {.name = "m", .kind = algorithm::calendar, .amount = 4, .unit = calendar_unit::month},
};

std::string wrong_with(const std::string& text) {
  const auto parsed = parse_limits(text);
  REQUIRE(parsed.has_error());
  CHECK(parsed.error().code == errc::invalid);
  return parsed.error().message;
}

} // namespace

TEST_CASE("a stored plan wins over the configuration's until it is deleted", "[plans]") {
  const std::vector<plan> file{{"anonymous", {}}, {"pro", {all_kinds[0]}}};
  const plan_set plain{file, {}};
  REQUIRE(plain.all().size() == 2);
  CHECK(plain.by_name("pro")->rules.limits.size() == 1);
  CHECK_FALSE(plain.by_name("pro")->stored);
  CHECK(plain.by_name("pr") == nullptr);
  CHECK(plain.by_name("proo") == nullptr);

  const plan_set set{file, {stored("pro", "[]"), stored("extra", limits_text(all_kinds))}};
  REQUIRE(set.all().size() == 3);
  CHECK(set.by_name("pro")->rules.limits.empty());
  CHECK(set.by_name("pro")->stored);
  CHECK(set.by_name("pro")->configured);
  CHECK(set.by_name("pro")->changed_ms == 5);
  CHECK(set.by_name("extra")->rules.limits == all_kinds);
  CHECK_FALSE(set.by_name("extra")->configured);

  const plan_set back{file, {stored("pro", "[]", 9), stored("extra", "[]", 9)}};
  CHECK(back.all().size() == 2);
  CHECK(back.by_name("pro")->rules.limits.size() == 1);
}

TEST_CASE("plans are found by the hash of their name", "[plans]") {
  CHECK(plan_id("") == 0x02CC5D05); // XXH32 as published, seed 0
  const plan_set set{{{"a", {}}, {"b", {}}, {"anonymous", {}}}, {}};
  for (const auto& entry : set.all()) {
    CHECK(entry.id == plan_id(entry.rules.name));
    CHECK(set.by_id(entry.id) == &entry);
  }
  CHECK(set.by_id(plan_id("c")) == nullptr);
  CHECK(plan_set{}.by_id(0) == nullptr);
}

TEST_CASE("a stored plan that can't be read leaves the configuration's in force", "[plans]") {
  const plan_set set{{{"pro", {all_kinds[0]}}}, {stored("pro", R"([{"name":"x","wings":2}])")}};
  CHECK(set.by_name("pro")->rules.limits.size() == 1);
  CHECK(set.unreadable() == std::vector<std::string>{"pro"});
}

TEST_CASE("limits come back from their text", "[plans]") {
  const auto text = limits_text(all_kinds);
  const auto parsed = parse_limits(text);
  REQUIRE(parsed.has_value());
  CHECK(*parsed == all_kinds);
  CHECK(limits_text({}) == "[]");
  CHECK(parse_limits("[]")->empty());
  CHECK(limits_text({all_kinds[0]}) ==
        R"([{"name":"burst","algorithm":"gcra","amount":20,"window":"1s","burst":40}])");
}

TEST_CASE("limits that are wrong: the place, what is wrong, what would do", "[plans]") {
  using Catch::Matchers::Contains;
  CHECK_THAT(wrong_with("{"), Contains("not JSON"));
  CHECK_THAT(wrong_with("{}"), Contains("limits: an object is not a list"));
  CHECK_THAT(wrong_with("[5]"), Contains("limits[0]: 5 is not a limit"));
  CHECK_THAT(wrong_with(R"([{"name":"a","amount":1,"window":"1s"},{"nam":"b"}])"),
             Contains("limits[1]: a limit has no key \"nam\"; did you mean name?"));
  CHECK_THAT(wrong_with(R"([{"name":5}])"), Contains("limits[0].name: 5 is not a text; write a "
                                                     "name of letters"));
  CHECK_THAT(wrong_with(R"([{"name":"a b"}])"), Contains("\"a b\" is not a name"));
  CHECK_THAT(wrong_with(R"([{"algorithm":"gcraa"}])"), Contains("did you mean \"gcra\"?"));
  for (const auto* amount : {"0", "-1", "4000000001", "1e30", "18446744073709551616"})
    CHECK_THAT(wrong_with(R"([{"name":"a","window":"1s","amount":)" + std::string{amount} + "}]"),
               Contains("limits[0]") && Contains("amount") && Contains("4000000000"));
  CHECK_THAT(wrong_with(R"([{"amount":1.5}])"), Contains("limits[0].amount: 1.5E0 is neither"));
  CHECK_THAT(wrong_with(R"([{"amount":"5"}])"), Contains("\"5\" is neither a whole number nor"));
  CHECK_THAT(wrong_with(R"([{"window":"fortnight"}])"), Contains("is not a window"));
  CHECK_THAT(wrong_with(R"([{"window":"400d"}])"), Contains("\"400d\" is out of range"));
  CHECK_THAT(wrong_with(R"([{"amount":1,"window":"1s"}])"), Contains("has no name"));
  CHECK_THAT(wrong_with(R"([{"name":"a","amount":1}])"), Contains("has no window"));
  CHECK_THAT(wrong_with(R"([{"name":"a","window":"1s"}])"), Contains("has no amount"));
  CHECK_THAT(wrong_with(R"([{"name":"a","amount":1,"window":"day"}])"),
             Contains("needs algorithm = \"calendar\""));
  CHECK_THAT(wrong_with(R"([{"name":"a","amount":1,"window":"1s"},
                           {"name":"a","amount":1,"window":"1s"}])"),
             Contains("limits[1]: two limits have the name \"a\""));
  std::string many = "[";
  for (int i = 0; i < 9; ++i)
    many += std::string{i ? "," : ""} + R"({"name":"a","amount":1,"window":"1s"})";
  CHECK_THAT(wrong_with(many + "]"), Contains("9 limits are too many"));
  // A key that went to the wrong place is not repeated.
  CHECK_THAT(wrong_with(R"([{"name":"psk_live_abcdefghijklmnopqrstuvwxyz012345"}])"),
             Contains("psk_live_ab…") && !Contains("cdef"));
}
