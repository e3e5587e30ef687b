// What the admin plane makes of figures that actors registered.
#include "actors/base/node_state.hpp"
#include "net/telemetry/metrics_page.hpp"
#include "net/telemetry/registered_figures.hpp"
#include "net/telemetry/status_page.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

struct shown_metrics {
  counter notes;
  labelled_counter by_stream;
};

metrics_sources with_an_actor() {
  const auto metrics = std::make_shared<shown_metrics>();
  metrics->notes.add(7);
  metrics->by_stream.add("errors", 2);
  auto figures = std::make_shared<actor_figures>("shown");
  figures->add_counter("penstock_shown_notes_total", "Notes.", metrics, &shown_metrics::notes);
  figures->add_labelled("penstock_shown_events_total", "Events.", "stream", metrics,
                        &shown_metrics::by_stream);
  metrics_sources from;
  from.actors.push_back(std::move(figures));
  return from;
}

} // namespace

TEST_CASE("registered figures are on the metrics page", "[metrics]") {
  const auto page = metrics_page(with_an_actor());
  CHECK(page.find("# HELP penstock_shown_notes_total Notes.\n"
                  "# TYPE penstock_shown_notes_total counter\n"
                  "penstock_shown_notes_total 7\n") != page.npos);
  CHECK(page.find("penstock_shown_events_total{stream=\"errors\"} 2\n") != page.npos);
}

TEST_CASE("registered figures are in the status, by actor", "[metrics]") {
  const node_state node;
  const auto text = status_json(with_an_actor(), node);
  CHECK(text.find(R"("actors":{"shown":{"penstock_shown_notes_total":7,)"
                  R"("penstock_shown_events_total":{"errors":2}}})") != text.npos);
  CHECK(status_json({}, node).find("\"actors\"") == std::string::npos);
}
