// The table of limit algorithms.
#include "actors/limits/algorithms/algorithms.hpp"
#include "actors/limits/limit_text.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string_view>

using namespace penstock;

TEST_CASE("algorithms: numbers are part of what is on the disk", "[algorithms]") {
  CHECK(algorithm_of(static_cast<algorithm>(0)).name == "gcra");
  CHECK(algorithm_of(static_cast<algorithm>(1)).name == "fixed_window");
  CHECK(algorithm_of(static_cast<algorithm>(2)).name == "sliding_window");
  CHECK(algorithm_of(static_cast<algorithm>(3)).name == "interval");
  CHECK(algorithm_of(static_cast<algorithm>(4)).name == "calendar");
}

TEST_CASE("algorithms: each has all operations, and a name of its own", "[algorithms]") {
  std::set<std::string_view> names;
  for (const limit_algorithm* each : limit_algorithms) {
    CAPTURE(each->name);
    CHECK(names.insert(each->name).second);
    CHECK_FALSE(each->summary.empty());
    CHECK((each->check_units && each->check_numbers && each->window_text));
    CHECK((each->nominal_window_ns && each->look && each->available && each->charge));
    CHECK((each->wait_ns && each->is_idle && each->carry_over && each->units_at_once));
    CHECK((each->window_at_once_ns && each->set_aside && each->window_left_ns));
    CHECK((each->lease_mark && each->settle && each->fold && each->unfold && each->to_row));
  }
}

TEST_CASE("algorithms: what is written of a limit is read again, of each", "[algorithms]") {
  for (const limit_algorithm* each : limit_algorithms) {
    const std::string window = each->takes_calendar_unit ? "day" : "10s";
    const std::string amount = each->takes_amount ? R"("amount":7,)" : "";
    const std::string text = R"([{"name":"n","algorithm":")" + std::string{each->name} + R"(",)" +
                             amount + R"("window":")" + window + R"("}])";
    CAPTURE(text);
    const auto limits = parse_limits(text);
    REQUIRE(limits.has_value());
    CHECK(limits_text(*limits) == text);
  }
}

TEST_CASE("algorithms: the sentences about what only some take name those", "[algorithms]") {
  limit_draft draft;
  draft.name = "n";
  draft.kind = algorithm::fixed_window;
  draft.amount = {5, false};
  draft.burst = {5, false};
  draft.window = "1s";
  CHECK(check_limit(draft) == "only algorithm = \"gcra\" has a burst; leave it out");
  draft.window = "day";
  CHECK(check_limit(draft) ==
        "window = \"day\" needs algorithm = \"calendar\"; for this one write a duration, for "
        "example \"24h\"");
}
