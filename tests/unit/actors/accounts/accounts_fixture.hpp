// Nodes as far as accounts go, on virtual time: what tests of the accounts actor share.
#pragma once

#include "actors/accounts/accounts_actor.hpp"
#include "actors/cluster/link_messages.hpp"
#include "tests/unit/actors/accounts/memory_account_store.hpp"
#include "tests/unit/actors/fake_hash.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

inline constexpr std::int64_t accounts_start_us = 1'790'000'000'000'000;

// What was told to a subscriber or a peer.
struct account_updates {
  std::vector<accounts_changed> snapshots;
  std::vector<accounts_records> records;
  std::vector<accounts_digest> digests;
  caf::actor sender;

  const access_table& access() const { return *snapshots.back().access; }
};

inline caf::behavior update_listener(caf::event_based_actor* self,
                                     std::shared_ptr<account_updates> all) {
  self->set_default_handler(ignore_message); // as a peer that says nothing
  const auto note_sender = [self, all] {
    all->sender = caf::actor_cast<caf::actor>(self->current_sender());
  };
  return {[all](const accounts_changed& update) { all->snapshots.push_back(update); },
          [all](const accounts_records& update) { all->records.push_back(update); },
          [all, note_sender](const accounts_digest& update) {
            all->digests.push_back(update);
            note_sender();
          }};
}

// A node as far as accounts go.
struct accounts_node {
  accounts_node(actor_fixture& world, std::vector<plan> plans = {{"anonymous", {}}, {"pro", {}}})
      : system(world.system), update(std::make_shared<account_updates>()),
        store(std::make_shared<memory_account_store>()),
        book(std::make_shared<account_book>(account_records{}, std::move(plans), fake_hash)),
        subscriber(world.system.spawn(update_listener, update)),
        actor(plain_actor(world.system.spawn(
            accounts_actor,
            accounts_parts{store, book, hasher, {stand_in(subscriber)}, [now = now_us] {
                             return (*now)++;
                           }}))) {}
  ~accounts_node() {
    update->sender = nullptr;
    for (const auto& one : {actor, subscriber})
      caf::anon_send_exit(one, caf::exit_reason::kill);
  }
  const access_key* find(const std::string& key) const {
    return update->snapshots.empty() ? nullptr : update->access().find(hasher(key));
  }

  caf::actor_system& system;
  key_hasher hasher{"secret"};
  std::shared_ptr<std::int64_t> now_us = std::make_shared<std::int64_t>(accounts_start_us);
  std::shared_ptr<account_updates> update;
  std::shared_ptr<memory_account_store> store;
  std::shared_ptr<account_book> book;
  caf::actor subscriber, actor;
};

class accounts_fixture : public actor_fixture {
 public:
  template <class Reply, class Request>
  Reply ask(const accounts_node& node, Request request) {
    Reply reply;
    auto pending = self->request(node.actor, caf::infinite, std::move(request));
    run();
    pending.receive([&](Reply& got) { reply = std::move(got); },
                    [](const caf::error&) { FAIL("no answer"); });
    run();
    return reply;
  }
  key_created make(const accounts_node& node, const std::string& account = "acme",
                   const std::string& plan = "pro") {
    return ask<key_created>(node, create_key{account, plan, {}, {}, {}, 0});
  }
  account_done revoke(const accounts_node& node, const std::string& id) {
    return ask<account_done>(node, revoke_key{id});
  }
  /// Asks both before either has done anything.
  template <class FirstReply, class SecondReply, class First, class Second>
  std::pair<FirstReply, SecondReply> ask_both(const accounts_node& a, First first,
                                              const accounts_node& b, Second second) {
    std::pair<FirstReply, SecondReply> replies;
    auto one = self->request(a.actor, caf::infinite, std::move(first));
    auto other = self->request(b.actor, caf::infinite, std::move(second));
    run();
    one.receive([&](FirstReply& got) { replies.first = std::move(got); },
                [](const caf::error&) { FAIL("no answer"); });
    other.receive([&](SecondReply& got) { replies.second = std::move(got); },
                  [](const caf::error&) { FAIL("no answer"); });
    return replies;
  }
  void link(const accounts_node& a, const accounts_node& b) { link(a, 0, b, 1); }
  /// By the numbers that they have among the members.
  void link(const accounts_node& a, std::uint16_t a_number, const accounts_node& b,
            std::uint16_t b_number, std::uint32_t version = wire_version) {
    const auto up = [version](const accounts_node& node, std::uint16_t number) {
      peer_up update{number, {}, {}, stand_in(node.actor)};
      update.address = "node-" + std::to_string(number);
      update.version = version;
      return update;
    };
    self->send(a.actor, up(b, b_number));
    self->send(b.actor, up(a, a_number));
    run();
  }
  void part(const accounts_node& a, const accounts_node& b) {
    self->send(a.actor, peer_down{1});
    self->send(b.actor, peer_down{0});
    run();
  }
};

/// Everything that is logged while it lives.
class log_catcher {
 public:
  log_catcher() : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_));
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(logger);
  }
  ~log_catcher() { spdlog::set_default_logger(before_); }
  std::string text() {
    spdlog::default_logger()->flush();
    return text_.str();
  }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

} // namespace penstock
