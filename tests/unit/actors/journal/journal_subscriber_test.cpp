// What the journal tells those who subscribed, and that it never waits for them.
#include "actors/base/extension_messages.hpp"
#include "tests/unit/actors/journal/journal_world.hpp"
#include "tests/unit/actors/stand_in.hpp"

using namespace penstock;
using namespace penstock::test;

namespace {

class subscriber_world : public journal_world {
 public:
  subscriber_world() : reader(system) {
    start();
    caf::anon_send(actor, subscribe_rows{stand_in(reader), window, [](const std::string& stream) {
                                           return stream != "others";
                                         }});
    run();
  }

  /// Makes events durable.
  void store_events(const std::string& stream, std::size_t events, std::size_t body_bytes = 0) {
    send(batch(front_a, {{stream, events, body_bytes}}));
    run();
    append_done done;
    while (take(front_a, done))
      ;
  }

  std::shared_ptr<subscription_window> window = std::make_shared<subscription_window>();
  caf::scoped_actor reader;
};

} // namespace

TEST_CASE_METHOD(subscriber_world, "a subscriber is told what is durable of its streams",
                 "[journal]") {
  send(batch(front_a, {{"errors", 2}, {"others", 3}, {"logs", 1}})); // nobody fetches "logs"
  run();
  durable_rows_ptr update;
  REQUIRE(take(reader, update));
  REQUIRE(update->what.rows.size() == 2);
  CHECK(update->what.rows[0]->stream == "errors");
  CHECK(update->what.rows[0]->size() == 2);
  CHECK(update->what.rows[1]->stream == "logs");
  CHECK(update->lost == 0);
  CHECK(window->held_bytes() > 0);
  update.reset();
  CHECK(window->held_bytes() == 0);

  store_events("others", 4);
  CHECK_FALSE(take(reader, update));
  CHECK(window->lost() == 0);
}

TEST_CASE_METHOD(subscriber_world, "a subscriber that is behind loses events, and is told how many",
                 "[journal]") {
  constexpr std::size_t each_bytes = 512u << 10;
  std::size_t stored = 0;
  while (window->lost() == 0) {
    store_events("errors", 1, each_bytes);
    ++stored;
    REQUIRE(stored * each_bytes <= 2 * max_subscriber_bytes);
  }
  CHECK(window->held_bytes() <= max_subscriber_bytes);
  CHECK(window->held_bytes() + each_bytes + (64u << 10) > max_subscriber_bytes);
  store_events("errors", 2, each_bytes);
  CHECK(window->lost() == 3);
  CHECK(metrics->events.value() == stored + 2); // the journal took them all

  std::size_t told_of = 0;
  durable_rows_ptr update;
  while (take(reader, update)) {
    CHECK(update->lost == 0);
    for (const auto& row : update->what.rows)
      told_of += row->size();
  }
  update.reset();
  CHECK(told_of == stored - 1);
  CHECK(window->held_bytes() == 0);
  store_events("errors", 1);
  REQUIRE(take(reader, update));
  CHECK(update->lost == 3);
  store_events("errors", 1);
  REQUIRE(take(reader, update));
  CHECK(update->lost == 0); // told once
}

TEST_CASE_METHOD(subscriber_world, "a subscriber that is gone holds nothing", "[journal]") {
  {
    caf::scoped_actor gone{system};
    caf::anon_send(actor,
                   subscribe_rows{stand_in(gone), window, [](const std::string&) { return true; }});
    run();
  }
  durable_rows_ptr update;
  store_events("errors", 1);
  REQUIRE(take(reader, update));
  update.reset();
  CHECK(window->held_bytes() == 0);
}
