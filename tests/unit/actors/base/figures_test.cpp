// Figures that actors register, and the bound on the values of a label.
#include "actors/base/figures.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

struct sample_metrics {
  counter notes;
  gauge level;
  labelled_counter by_stream;
};

} // namespace

TEST_CASE("figures are read where they are counted", "[figures]") {
  const auto metrics = std::make_shared<sample_metrics>();
  actor_figures figures{"sample"};
  figures.add_counter("penstock_sample_notes_total", "Notes.", metrics, &sample_metrics::notes);
  figures.add_gauge("penstock_sample_level", "The level.", metrics, &sample_metrics::level);
  figures.add_labelled("penstock_sample_events_total", "Events.", "stream", metrics,
                       &sample_metrics::by_stream);
  REQUIRE(figures.all().size() == 3);
  metrics->notes.add(2);
  metrics->level.set(-3);
  metrics->by_stream.add("errors", 5);
  metrics->by_stream.add("default");
  metrics->by_stream.add("errors");

  CHECK(figures.all()[0].kind == figure_kind::counter);
  CHECK(figures.all()[0].read().at(0).value == 2);
  CHECK(figures.all()[0].read().at(0).label.empty());
  CHECK(figures.all()[1].kind == figure_kind::gauge);
  CHECK(figures.all()[1].read().at(0).value == -3);
  const auto streams = figures.all()[2].read();
  REQUIRE(streams.size() == 2);
  CHECK(streams[0].label == "stream");
  CHECK(streams[0].label_value == "errors");
  CHECK(streams[0].value == 6);
  CHECK(streams[1].label_value == "default");
  CHECK(streams[1].value == 1);
}

TEST_CASE("a label has no more values than a page bears; the others are counted together",
          "[figures]") {
  labelled_counter counts;
  for (std::size_t i = 0; i < max_label_values; ++i)
    counts.add("value-" + std::to_string(i));
  CHECK(counts.values().size() == max_label_values);
  counts.add("one more", 2);
  counts.add("and another", 3);
  counts.add("value-0");
  const auto values = counts.values();
  REQUIRE(values.size() == max_label_values + 1);
  CHECK(values.front() == std::pair<std::string, std::uint64_t>{"value-0", 2});
  CHECK(values.back() == std::pair<std::string, std::uint64_t>{"other", 5});
}
