// The order of a drain, and what is told of it.
#include "cli/node/node_drain.hpp"
#include "tests/unit/cli/node/quiet_log.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace penstock;

namespace {

struct noted_step {
  std::string unit;
  drain_step step;

  bool operator==(const noted_step&) const = default;
};

class noting_unit final : public unit {
 public:
  noting_unit(std::string called, std::vector<noted_step>& notes)
      : called_(std::move(called)), notes_(notes) {}

  std::string_view name() const override { return called_; }
  result<void> start() override { return {}; }
  void drain(drain_step step, node_drain& by) override {
    notes_.push_back({called_, step});
    if (at_step) at_step(step, by);
  }
  void on_stage(drain_stage stage) override { stages.push_back(stage); }

  std::function<void(drain_step, node_drain&)> at_step;
  std::vector<drain_stage> stages;

 private:
  std::string called_;
  std::vector<noted_step>& notes_;
};

struct drain_world {
  test::quiet_log log;
  config settings = [] {
    config made;
    made.drain_timeout_ms = std::chrono::hours{1};
    return made;
  }();
  node_core core{settings, {}};
  drain_status board;
  std::vector<noted_step> notes;
  noting_unit first{"first", notes};
  noting_unit second{"second", notes};
  std::vector<unit*> units{&first, &second};
};

} // namespace

TEST_CASE_METHOD(drain_world, "a drain leads all units through a step before the next", "[drain]") {
  CHECK(node_drain{core, units, board}.run());
  REQUIRE(notes.size() % 2 == 0);
  for (std::size_t i = 0; i < notes.size(); i += 2) {
    CHECK(notes[i].unit == "first");
    CHECK(notes[i + 1].unit == "second");
    CHECK(notes[i].step == static_cast<drain_step>(i / 2)); // in the order that unit.hpp has
    CHECK(notes[i + 1].step == notes[i].step);
  }
  CHECK(notes.back().step == drain_step::save_extensions);
  CHECK(core.state.draining);
}

TEST_CASE_METHOD(drain_world, "units hear of the stages of a drain, in order", "[drain]") {
  first.at_step = [this](drain_step step, node_drain&) {
    const auto stage = board.get().stage;
    if (step == drain_step::begin) CHECK(stage == drain_stage::serving);
    if (step == drain_step::announce) CHECK(stage == drain_stage::announcing);
    if (step == drain_step::answer) CHECK(stage == drain_stage::answering);
    if (step == drain_step::hand_over) CHECK(stage == drain_stage::handing_over);
    if (step == drain_step::count_backlog) CHECK(stage == drain_stage::handing_over);
    if (step == drain_step::publish) CHECK(stage == drain_stage::publishing);
    if (step >= drain_step::tell_holders) CHECK(stage == drain_stage::closing);
  };
  CHECK(node_drain{core, units, board}.run());
  CHECK(second.stages == std::vector<drain_stage>{drain_stage::announcing, drain_stage::answering,
                                                  drain_stage::handing_over,
                                                  drain_stage::publishing, drain_stage::closing,
                                                  drain_stage::ended});
  CHECK(board.get().stage == drain_stage::ended);
}

TEST_CASE_METHOD(drain_world, "the deadline is what was wished, and what saves has its own",
                 "[drain]") {
  REQUIRE(board.ask({.timeout_ms = std::chrono::hours{2}}));
  const auto began = node_drain::clock::now();
  first.at_step = [began](drain_step step, node_drain& by) {
    if (step == drain_step::announce) {
      CHECK(by.deadline() >= began + std::chrono::hours{2});
      CHECK(by.soon(announce_time) < by.deadline());
      CHECK(by.soon(std::chrono::hours{5}) == by.deadline());
    }
    if (step == drain_step::save_events)
      CHECK(by.deadline() < began + std::chrono::hours{1}); // storage_drain_time
  };
  CHECK(node_drain{core, units, board}.run());
  CHECK(board.get().deadline >= began + std::chrono::hours{2});
}

TEST_CASE_METHOD(drain_world, "what a unit leaves over is on the board", "[drain]") {
  second.at_step = [](drain_step step, node_drain& by) {
    if (step == drain_step::answer) by.leave_over("a thing");
    drainable_handle nobody;
    if (step == drain_step::save_usage)
      by.save(nobody, "nothing"); // there is none: nothing is left
  };
  CHECK_FALSE(node_drain{core, units, board}.run());
  CHECK(board.get().left == std::vector<std::string>{"a thing"});
}
