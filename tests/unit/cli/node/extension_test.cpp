// An actor that the node knows only by its list: started, told, shown and drained.
#include "actors/base/extension.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "cli/client/http_client.hpp"
#include "cli/node/node.hpp"
#include "net/loop/listener.hpp"
#include "tests/unit/cli/node/quiet_log.hpp"
#include "tests/unit/storage/support.hpp"

#include <catch2/catch.hpp>

#include <atomic>

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

namespace {

struct heard_metrics {
  labelled_counter events;
  counter requests;
  counter granted;
  gauge stage;
};

struct heard_state {
  static constexpr const char* name = "heard";
};

std::atomic<bool> heard_drained{false};

using heard_handle = drainable_handle::extend_with<rows_listener_handle, verdicts_listener_handle,
                                                   drains_listener_handle>;

heard_handle::behavior_type heard_actor(heard_handle::stateful_pointer<heard_state> self,
                                        const std::shared_ptr<heard_metrics>& metrics) {
  return {
      [metrics](const durable_rows_ptr& update) {
        for (const auto& row : update->what.rows)
          metrics->events.add(row->stream, row->size());
      },
      [metrics](const turn_verdicts_ptr& update) {
        for (const auto& one : update->what.requests) {
          metrics->requests.add();
          metrics->granted.add(one.granted);
        }
      },
      [metrics](const drain_entered& update) {
        metrics->stage.set(static_cast<std::int64_t>(update.stage));
      },
      [self](const drain&) {
        heard_drained = true;
        self->quit();
        return drained{};
      },
  };
}

extension_actor start_heard(const extension_start& with) {
  const auto metrics = std::make_shared<heard_metrics>();
  with.figures.add_labelled("penstock_heard_events_total", "Durable events.", "stream", metrics,
                            &heard_metrics::events);
  with.figures.add_counter("penstock_heard_requests_total", "Verdicts.", metrics,
                           &heard_metrics::requests);
  with.figures.add_counter("penstock_heard_granted_total", "Events that limits let pass.", metrics,
                           &heard_metrics::granted);
  with.figures.add_gauge("penstock_heard_stage", "Of a drain.", metrics, &heard_metrics::stage);
  const auto who = with.system.spawn(heard_actor, metrics);
  return {.who = who,
          .events = who,
          .wants_events = [](const std::string&) { return true; },
          .verdicts = who,
          .drains = who};
}

std::uint16_t a_free_port() {
  auto socket = open_listener("127.0.0.1", 0);
  REQUIRE(socket.has_value());
  return socket->port();
}

} // namespace

TEST_CASE("a node starts an extension, shows its figures and drains it", "[node]") {
  quiet_log log;
  temporary_dir dir;
  static const std::vector<extension> all{{"heard", "For this test.", {}, start_heard}};
  const auto admin = "127.0.0.1:" + std::to_string(a_free_port());
  auto settings =
      load_config({.sets = {"node.data_dir=" + dir.path().string(), "http.threads=1",
                            "http.listen=127.0.0.1:0", "admin.listen=" + admin, "log.level=off"}});
  REQUIRE(settings.has_value());
  heard_drained = false;
  auto running = node::start(*settings, {}, all);
  REQUIRE(running.has_value());
  {
    http_client events{*server_url::parse("http://" + (*running)->http_address()), ""};
    for (const auto* stream : {"/v1/events", "/v1/events/errors", "/v1/events/errors"}) {
      const auto answer = events.post(stream, "{}", 10s);
      REQUIRE(answer.has_value());
      CHECK(answer->status == 202);
    }
    // The journal tells subscribers before it tells the front end, and the actor has its turn soon.
    http_client asking{*server_url::parse("http://" + admin), ""};
    std::string page;
    for (int i = 0; i < 200 && page.find("{stream=\"errors\"} 2") == page.npos; ++i)
      page = asking.get("/metrics", 10s)->body;
    CHECK(page.find("penstock_heard_events_total{stream=\"default\"} 1\n") != page.npos);
    CHECK(page.find("penstock_heard_events_total{stream=\"errors\"} 2\n") != page.npos);
    CHECK(page.find("penstock_heard_requests_total 3\n") != page.npos);
    CHECK(page.find("penstock_heard_granted_total 3\n") != page.npos);
    CHECK(page.find("penstock_heard_lost_total 0\n") != page.npos);
    const auto status = asking.get("/v1/admin/status", 10s)->body;
    CHECK(status.find("\"actors\":{\"heard\":{\"penstock_heard_events_total\":{") != status.npos);
  }
  CHECK((*running)->drain());
  CHECK(heard_drained);
}
