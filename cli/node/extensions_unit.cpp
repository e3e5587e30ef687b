#include "cli/node/extensions_unit.hpp"

#include "cli/node/node_drain.hpp"
#include "net/base/wall_time.hpp"

namespace penstock {

result<void> extensions_unit::start() {
  for (const auto& each : all_) {
    const auto values = core_.settings.extensions.find(each.name);
    static const extension_values none;
    running one;
    one.figures = std::make_shared<actor_figures>(each.name);
    one.window = std::make_shared<subscription_window>();
    one.actor =
        each.start({core_.system, values != core_.settings.extensions.end() ? values->second : none,
                    *one.figures, wall_ms});
    subscribe(one);
    running_.push_back(std::move(one));
  }
  return {};
}

void extensions_unit::subscribe(const running& which) {
  const auto& actor = which.actor;
  if (actor.events)
    caf::anon_send(journal_.writer(),
                   subscribe_rows{actor.events, which.window, actor.wants_events});
  if (actor.verdicts)
    for (const auto& front_end : lanes_.front_ends())
      caf::anon_send(front_end, subscribe_verdicts{actor.verdicts, which.window});
  if (!actor.events && !actor.verdicts) return;
  which.figures->add(
      {"penstock_" + which.figures->actor() + "_lost_total",
       "Events and verdicts that it was not told of, as it was too far behind.",
       figure_kind::counter, [window = which.window] {
         return std::vector<figure_value>{{{}, {}, static_cast<double>(window->lost())}};
       }});
}

std::vector<members_listener_handle> extensions_unit::wanting_members() const {
  std::vector<members_listener_handle> out;
  for (const auto& each : running_)
    if (each.actor.members) out.push_back(each.actor.members);
  return out;
}

void extensions_unit::drain(drain_step step, node_drain& by) {
  if (step != drain_step::save_extensions) return;
  for (const auto& each : running_)
    by.save(each.actor.who, "the extension " + each.figures->actor());
}

void extensions_unit::on_stage(drain_stage stage) {
  for (const auto& each : running_)
    if (each.actor.drains) caf::anon_send(each.actor.drains, drain_entered{stage});
}

void extensions_unit::stop() {
  for (auto& each : running_) {
    end_actor(each.actor.who);
    each.actor = {};
  }
}

void extensions_unit::add_figures(metrics_sources& to) {
  for (const auto& each : running_)
    to.actors.push_back(each.figures);
}

} // namespace penstock
