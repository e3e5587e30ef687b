// On virtual time: when names of streams are forgotten, and what the log says of those refused.
#include "actors/streams/names_keeper.hpp"
#include "tests/unit/actors/fixture.hpp"

#include <catch2/catch.hpp>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

class names_world : public actor_fixture {
 public:
  ~names_world() {
    caf::anon_send_exit(keeper, caf::exit_reason::user_shutdown);
    run();
  }
  void start() {
    keeper = system.spawn(names_keeper, names_keeper_parts{names, [this] { return backlog; }});
    run();
  }
  void take(const std::string& name) {
    const auto got = names->find_or_reserve(names->hash_of(name), 0);
    if (got.what == stream_names::outcome::reserved)
      names->keep(got.place);
    else
      names->use(got.place);
  }
  std::shared_ptr<stream_names> names = std::make_shared<stream_names>();
  std::vector<std::string> backlog;
  names_keeper_handle keeper;
};

} // namespace

TEST_CASE_METHOD(names_world,
                 "names: forgotten ten minutes after their last event, if none is owed") {
  start();
  for (const auto* name : {"idle", "owed", "used"})
    take(name);
  backlog = {"owed"};
  pass(595s, names_interval);
  CHECK(names->used() == 3);
  take("used");
  pass(10s, names_interval);
  CHECK(names->used() == 2);
  pass(600s, names_interval);
  CHECK(names->used() == 1); // nobody reads it, however long
  backlog.clear();
  pass(2s, names_interval);
  CHECK(names->used() == 0);
  CHECK(names->forgotten() == 3);
}
