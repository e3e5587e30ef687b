// Nodes of a cluster as far as usage goes, on virtual time, with stores on the disk.
#pragma once

#include "actors/base/lifecycle_messages.hpp"
#include "actors/usage/usage_actor.hpp"
#include "actors/usage/usage_gatherer.hpp"
#include "storage/stores/usage_copies.hpp"
#include "storage/stores/usage_schema.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"
#include "tests/unit/storage/support.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

inline constexpr std::int64_t usage_start_ms = 1'796'083'200'000; // 2026-12-01T00:00:00Z

/// A node's data directory, which stays when its process goes.
struct usage_disk {
  test::temporary_dir dir;
};

class usage_cluster : public actor_fixture {
 public:
  struct node {
    std::string name;
    std::shared_ptr<usage_disk> disk;
    usage_handle writer;
    usage_reader_handle reader;
    usage_gatherer_handle gatherer;
    std::shared_ptr<usage_metrics> metrics = std::make_shared<usage_metrics>();
    std::set<std::uint16_t> linked{};
  };

  ~usage_cluster() {
    while (!nodes.empty())
      kill(nodes.begin()->first);
  }

  static std::string address_of(std::uint16_t number) {
    return "10.0.0." + std::to_string(number) + ":4200";
  }

  /// Starts a process on that directory, or on a new one; it is linked to nobody.
  node& start(std::uint16_t number, std::shared_ptr<usage_disk> disk = nullptr,
              const std::string& name = {}) {
    node made;
    made.name = name.empty() ? "node-" + std::to_string(number) : name;
    made.disk = disk ? std::move(disk) : std::make_shared<usage_disk>();
    const auto& dir = made.disk->dir.path();
    usage_parts parts;
    parts.store = open(usage_store::open(dir));
    parts.copies = open(usage_copies::open(dir, nullptr, max_copies));
    parts.metrics = made.metrics;
    parts.wall_ms = [now = now_ms] { return *now; };
    auto about = parts.store->about();
    about.node = made.name;
    about.address = address_of(number);
    REQUIRE(parts.store->describe(about).has_value());
    usage_reader_parts reading;
    reading.reader = open(usage_reader::open(dir));
    reading.origin = about.origin;
    reading.open_copies = [dir](const std::vector<std::string>& origins) {
      return usage_reader::open_copies(dir, origins);
    };
    reading.stopping = std::make_shared<std::atomic<bool>>(false);
    reading.yields = false;
    made.writer = system.spawn(usage_actor, parts);
    made.reader = system.spawn(usage_reader_actor, reading);
    made.gatherer = system.spawn(usage_gatherer, usage_gatherer_parts{made.writer, made.reader,
                                                                      address_of(number), members});
    run();
    return nodes[number] = std::move(made);
  }

  void link(std::uint16_t a, std::uint16_t b, std::uint32_t version = wire_version) {
    if (!nodes[a].linked.insert(b).second) return;
    nodes[b].linked.insert(a);
    const auto up = [&](std::uint16_t number) {
      peer_up news{.member = number};
      news.address = address_of(number);
      news.version = version;
      news.usage = nodes[number].writer;
      news.usage_reader = nodes[number].reader;
      return news;
    };
    tell(a, up(b));
    tell(b, up(a));
    run();
  }
  void link_all() {
    for (const auto& [a, one] : nodes)
      for (const auto& [b, other] : nodes)
        if (a < b) link(a, b);
  }
  void part(std::uint16_t a, std::uint16_t b) {
    if (nodes[a].linked.erase(b) == 0) return;
    nodes[b].linked.erase(a);
    tell(a, peer_down{b});
    tell(b, peer_down{a});
    run();
  }

  /// Ends the process; what it had not written is lost. Gives its directory.
  std::shared_ptr<usage_disk> kill(std::uint16_t number) {
    const auto ended = std::move(nodes[number]);
    nodes.erase(number);
    for (const auto& one :
         {plain_actor(ended.writer), plain_actor(ended.reader), plain_actor(ended.gatherer)})
      caf::anon_send_exit(one, caf::exit_reason::kill);
    run();
    for (const auto other : ended.linked) {
      nodes[other].linked.erase(number);
      tell(other, peer_down{number});
    }
    run();
    return ended.disk;
  }

  /// Drains it: true when all was handed over.
  bool leave(std::uint16_t number) {
    bool ok = false;
    auto pending = self->request(nodes[number].writer, caf::infinite, usage_hand_over{});
    run();
    pending.receive([&](usage_handed_over) { ok = true; },
                    [](const caf::error&) { FAIL("no answer"); });
    kill(number);
    return ok;
  }

  void count(std::uint16_t number, const std::string& stream, std::uint64_t requests) {
    auto batch = std::make_shared<usage_batch>();
    batch->time_ms = *now_ms;
    batch->entries[static_cast<std::size_t>(usage_dimension::stream)].push_back(
        {stream, {requests, requests, 10 * requests, 0}});
    caf::anon_send(nodes[number].writer, usage_batch_ptr{batch});
    counted += requests;
    run();
  }

  void pass_s(int seconds) {
    for (; seconds > 0; --seconds) {
      *now_ms += 1000;
      pass(std::chrono::seconds{1}, std::chrono::seconds{1});
    }
  }

  /// Long enough for nodes that are away to be taken for gone.
  void pass_until_gone() {
    *now_ms += usage_gone_after_ms;
    pass_s(3);
  }

  usage_answer ask(std::uint16_t number, std::optional<std::string> id = {}) {
    usage_query query{.by = usage_dimension::stream, .per = usage_period::month};
    query.from_s = usage_start_ms / 1000;
    query.to_s = *now_ms / 1000 + 1;
    query.id = std::move(id);
    usage_answer_ptr answer;
    auto pending = self->request(nodes[number].gatherer, caf::infinite,
                                 usage_query_ptr{std::make_shared<const usage_query>(query)});
    run();
    pending.receive([&](usage_answer_ptr& got) { answer = std::move(got); },
                    [](const caf::error&) { FAIL("no answer"); });
    REQUIRE(answer);
    return *answer;
  }
  std::uint64_t total(std::uint16_t number) {
    const auto answer = ask(number);
    CHECK(answer.ok);
    return answer.report.total.requests;
  }
  std::uint64_t of_stream(std::uint16_t number, const std::string& stream) {
    const auto answer = ask(number, stream);
    CHECK(answer.ok);
    return answer.report.total.requests;
  }

  template <class Message>
  void tell(std::uint16_t number, const Message& message) {
    caf::anon_send(plain_actor(nodes[number].writer), message);
    caf::anon_send(plain_actor(nodes[number].gatherer), message);
  }

  template <class Store>
  static std::shared_ptr<Store> open(result<std::unique_ptr<Store>> opened) {
    REQUIRE(opened.has_value());
    return std::shared_ptr<Store>{std::move(*opened)};
  }

  std::vector<std::string> members; ///< of those that are started from now on
  std::size_t max_copies = max_usage_copies;
  std::shared_ptr<std::int64_t> now_ms = std::make_shared<std::int64_t>(usage_start_ms);
  std::map<std::uint16_t, node> nodes;
  std::uint64_t counted = 0; ///< requests, at all nodes
};

} // namespace penstock
