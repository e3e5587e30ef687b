#include "cli/node/names_unit.hpp"

#include <spdlog/spdlog.h>

namespace penstock {

result<void> names_unit::start() {
  adopt_names();
  names_keeper_parts parts;
  parts.names = names_;
  std::vector<std::shared_ptr<const sink_metrics>> sinks;
  for (const auto& [name, out] : sinks_.all())
    sinks.push_back(out.metrics);
  parts.backlog = [queue = delivery_.queue_figures(), sinks = std::move(sinks)] {
    std::vector<std::string> backlog;
    for (const auto& one : queue->streams())
      if (one.depth > 0) backlog.push_back(one.stream);
    for (const auto& sink : sinks)
      for (const auto& lag : sink->lags())
        if (lag.events > 0) backlog.push_back(lag.stream);
    return backlog;
  };
  keeper_ = core_.system.spawn(names_keeper, std::move(parts));
  return {};
}

// What the journal has events of was taken before: it goes on.
void names_unit::adopt_names() {
  std::size_t left_out = 0;
  for (const auto& stream : storage_.events()->catalog()->streams())
    if (!core_.settings.streams.contains(stream) && !names_->adopt(names_->hash_of(stream)))
      ++left_out;
  if (left_out > 0)
    spdlog::warn("streams: the journal has {} more names than the {} that are served beside the "
                 "configured ones; new events of those are answered 404 until others are forgotten",
                 left_out, names_->places());
}

void names_unit::add_figures(metrics_sources& to) {
  to.names = names_;
  to.is_configured = configured_streams(core_.settings);
}

} // namespace penstock
