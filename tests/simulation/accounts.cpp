#include "tests/simulation/accounts.hpp"

#include "tests/unit/actors/fake_hash.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace penstock::simulation {
namespace {

const key_hasher& hash_of_keys() {
  static const key_hasher hash{"secret"};
  return hash;
}

/// Plans and keys, as text that can be compared.
std::vector<std::string> all_of(const account_book& book) {
  std::vector<std::string> out;
  book.each_record([&out](const auto& record) {
    const auto put = to_directory(record);
    out.push_back(put.key + " " + put.value);
  });
  return out;
}

} // namespace

// -- a node ---------------------------------------------------------------------------------------

void node_accounts::load(const std::vector<plan>& configured) {
  book_ = std::make_shared<account_book>(*disk_->load(), configured, fake_hash);
  told_ = {book_->access(), book_->plans()};
}

void node_accounts::start(caf::actor_system& system, parts with) {
  accounts_parts all{disk_, book_, hash_of_keys(), {with.front_end}, std::move(with.wall_us)};
  all.limiters = {with.limiter};
  all.directory = with.directory;
  actor_ = plain_actor(system.spawn(accounts_actor, std::move(all)));
}

void node_accounts::lose_disk() {
  disk_ = std::make_shared<memory_account_store>();
  ++disk_number_;
}

// -- people ---------------------------------------------------------------------------------------

template <class Reply, class Request>
void account_people::ask(const caf::actor& whom, Request what, std::function<void(Reply)> then) {
  system_.spawn([=](caf::event_based_actor* self) {
    self->request(whom, std::chrono::seconds{5}, what)
        .then([then](Reply& reply) { then(std::move(reply)); }, [](const caf::error&) {});
  });
}

void account_people::ask(std::size_t at, const node_accounts& node) {
  const place where{at, node.disk_number()};
  switch (random_.between(1, 8)) {
  case 1:
  case 2:
    return revoke_key(node.actor(), where);
  case 3:
    return set_plan(node, where);
  case 4:
    return delete_plan(node, where);
  default:
    return make_key(node.actor(), where);
  }
}

std::string account_people::any_plan() {
  return fmt::format("plan{}", random_.between(1, changed_plans));
}

void account_people::make_key(const caf::actor& whom, place at) {
  ask<key_created>(whom, create_key{"acme", random_.one_in(3) ? "p" : any_plan(), {}, {}, {}, 0},
                   [this, at](key_created reply) {
                     if (reply.ok) keys_.push_back({reply.key, reply.record.id, at});
                   });
}

void account_people::revoke_key(const caf::actor& whom, place at) {
  if (keys_.empty()) return;
  const auto which =
      static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(keys_.size()) - 1));
  // A node that has not heard of the key says so.
  ask<account_done>(whom, penstock::revoke_key{keys_[which].id},
                    [this, which, at](account_done reply) {
                      if (reply.ok) keys_[which].revoked.push_back(at);
                    });
}

void account_people::set_plan(const node_accounts& node, place at) {
  limit rule;
  rule.name = "only";
  rule.kind = algorithm::fixed_window;
  rule.amount = static_cast<std::uint32_t>(random_.between(1, 1'000'000));
  rule.window_ns = 3600 * second;
  const auto name = any_plan();
  ask<account_done>(node.actor(), put_plan{{name, {rule}}}, [this, &node, name, at](auto reply) {
    if (!reply.ok) return;
    if (const auto* record = node.book().stored_plan(name))
      plans_.push_back({name, record->version, at});
  });
}

void account_people::delete_plan(const node_accounts& node, place at) {
  const auto name = any_plan();
  ask<account_done>(node.actor(), penstock::delete_plan{name}, [this, &node, name, at](auto reply) {
    if (!reply.ok) return;
    if (const auto* record = node.book().stored_plan(name))
      plans_.push_back({name, record->version, at});
  });
}

// -- what they hold the nodes to ------------------------------------------------------------------

std::vector<std::string> account_people::judge(const std::vector<const node_accounts*>& nodes,
                                               bool all_stay) const {
  std::vector<std::string> wrong;
  const auto is_promised = [&](const place& at) {
    return all_stay || (nodes[at.node] && nodes[at.node]->disk_number() == at.disk);
  };
  const auto first = std::ranges::find_if(nodes, [](const auto* each) { return each != nullptr; });
  if (first == nodes.end()) return wrong;
  const auto all = all_of((*first)->book());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!nodes[i]) continue;
    const auto& here = *nodes[i];
    if (all_of(here.book()) != all)
      wrong.push_back(fmt::format("n{:02} has other keys or plans than n{:02}", i,
                                  std::distance(nodes.begin(), first)));
    for (const auto& key : keys_) {
      const auto* record = here.book().key(key.id);
      const bool is_revoked = std::ranges::any_of(key.revoked, is_promised);
      if (!record && is_promised(key.at))
        wrong.push_back(fmt::format("n{:02} does not know a key that n{:02} made", i, key.at.node));
      if (record && is_revoked && record->revoked_ms == 0)
        wrong.push_back(fmt::format("a key that was revoked is in force on n{:02}", i));
      const bool is_in_force = here.in_force().access->find(hash_of_keys()(key.key)) != nullptr;
      if (is_in_force != (record && record->revoked_ms == 0))
        wrong.push_back(fmt::format("n{:02} goes by another key than it knows", i));
      const auto* rules = record ? here.book().plans()->by_name(record->plan) : nullptr;
      if (is_in_force && (!rules || rules->missing))
        wrong.push_back(fmt::format("n{:02} has no plan {} for a live key", i, record->plan));
    }
    for (const auto& one : plans_) {
      const auto* record = here.book().stored_plan(one.name);
      if (is_promised(one.at) && (!record || record->version < one.version))
        wrong.push_back(
            fmt::format("n{:02} lacks a change of {} made on n{:02}", i, one.name, one.at.node));
    }
  }
  return wrong;
}

} // namespace penstock::simulation
