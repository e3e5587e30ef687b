#include "tests/simulation/network.hpp"

#include <caf/make_actor.hpp>
#include <caf/monitorable_actor.hpp>

namespace penstock::simulation {
namespace {

/// Stands in one node for an actor of another.
class link_end final : public caf::monitorable_actor {
 public:
  link_end(caf::actor_config& config, network* by, int from, int home, caf::strong_actor_ptr who)
      : monitorable_actor(config), by_(by), from_(from), home_(home), who_(std::move(who)) {}

  using abstract_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    by_->carry(from_, home_, who_, std::move(what));
  }

 private:
  network* by_;
  int from_, home_;
  caf::strong_actor_ptr who_;
};

} // namespace

caf::actor network::seen_from(int from, int home, const caf::actor& who) {
  auto& end = ends_[{from, who.id()}];
  if (!end) {
    caf::actor_config config;
    end = caf::make_actor<link_end, caf::actor>(system_.next_actor_id(), system_.node(), &system_,
                                                config, this, from, home,
                                                caf::actor_cast<caf::strong_actor_ptr>(who));
  }
  return end;
}

void network::break_link(int a, int b) {
  linked_.erase({std::min(a, b), std::max(a, b)});
  for (const auto& way : {std::pair{a, b}, std::pair{b, a}}) {
    auto& of = directions_[way];
    ++of.generation;
    of.read_until = reaches(way.first, way.second) && random_.one_in(2)
                        ? when_.now_ns() + random_.between(0, most_delay_ns_)
                        : 0;
  }
}

void network::carry(int from, int to, caf::strong_actor_ptr target, caf::mailbox_element_ptr what) {
  // Whoever sends may not have noticed yet that the link is gone.
  if (!reaches(from, to) || !linked_.contains({std::min(from, to), std::max(from, to)})) return;
  auto& way = directions_[{from, to}];
  auto delay_ns = random_.between(20'000, most_delay_ns_ / 20);
  if (random_.one_in(20)) delay_ns = random_.between(0, most_delay_ns_);
  way.last_ns = std::max({way.last_ns, when_.now_ns() + delay_ns, stalled_ns_[{from, to}]});
  when_.at(way.last_ns, [this, from, to, target, generation = way.generation,
                         held = std::make_shared<caf::mailbox_element_ptr>(std::move(what))] {
    const auto& now = directions_[{from, to}];
    const bool was_read = now.generation == generation + 1 && when_.now_ns() <= now.read_until;
    if ((now.generation != generation && !was_read) || !reaches(from, to)) return;
    auto& element = **held;
    // Answers go back over the link.
    if (element.sender)
      element.sender = caf::actor_cast<caf::strong_actor_ptr>(
          seen_from(to, from, caf::actor_cast<caf::actor>(element.sender)));
    target->get()->enqueue(std::move(*held), nullptr);
  });
}

} // namespace penstock::simulation
