// A journal actor on virtual time over a real journal, whose failures the test decides.
#pragma once

#include "actors/base/lifecycle_messages.hpp"
#include "actors/journal/journal_actor.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/journal/journal_metrics.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"
#include "tests/unit/storage/support.hpp"

#include <optional>
#include <string>
#include <vector>

namespace penstock::test {

/// A row as the journal got it.
struct written_row {
  std::string stream;
  std::uint64_t first_seq = 0;
  std::size_t events = 0;
  bool operator==(const written_row&) const = default;
};

/// Passes everything on to a real journal, writes down the rows, and fails when it is told to: then
/// the real journal rolls back, as it does when a disk fails.
class watched_journal final : public journal {
 public:
  explicit watched_journal(std::unique_ptr<journal> real) : real_(std::move(real)) {}

  const std::string& tag() const override { return real_->tag(); }
  result<void> go_beyond(std::uint64_t seq) override { return real_->go_beyond(seq); }
  std::uint64_t next_seq() const override { return real_->next_seq(); }
  result<void> append(const event_block& block) override {
    if (fail_append && fail_after_rows-- == 0) return fail(fail_append);
    rows.push_back({block.stream, block.first_seq, block.size()});
    return real_->append(block);
  }
  result<void> commit() override {
    if (fail_commit) return fail(fail_commit);
    return real_->commit();
  }
  std::uint64_t last_commit_us() const override { return real_->last_commit_us(); }
  bool wants_rotation() const override { return real_->wants_rotation(); }
  result<void> rotate() override { return real_->rotate(); }
  std::uint64_t bytes() const override { return real_->bytes(); }
  bool full() const override {
    ++asked_full;
    return claims_full || real_->full();
  }
  std::uint64_t used_bytes() const override { return claims_used.value_or(real_->used_bytes()); }
  result<void> check_place() override { return real_->check_place(); }
  result<void> close() override { return real_->close(); }
  std::shared_ptr<segment_catalog> catalog() const override { return real_->catalog(); }

  journal& real() { return *real_; }

  std::vector<written_row> rows;
  std::optional<errc> fail_append; ///< once, after so many rows more
  int fail_after_rows = 0;
  std::optional<errc> fail_commit; ///< once
  bool claims_full = false;
  std::optional<std::uint64_t> claims_used;
  mutable int asked_full = 0;

 private:
  error fail(std::optional<errc>& how) {
    const error why{*how, "as the test wants"};
    how.reset();
    fail_after_rows = 0;
    (void)real_->append(numbered_block(0, 1)); // sequence number 0: an error, which rolls back
    return why;
  }

  std::unique_ptr<journal> real_;
};

/// What is in the directory is there for the next journal, too: restart() opens it again.
class journal_world : public actor_fixture {
 public:
  journal_world() : options(options_in(dir.path())), front_a(system), front_b(system) {
    options.max_unjournaled_events = 1000;
    settings.is_fetched = [](const std::string& stream) { return stream != "logs"; };
  }

  ~journal_world() {
    if (actor) caf::anon_send(actor, drain{});
    run();
  }

  void start() {
    store = std::make_shared<watched_journal>(open_journal(options));
    node.next_ticket = store->next_seq();
    metrics = std::make_shared<journal_metrics>();
    actor = plain_actor(system.spawn(journal_actor, store, settings, &node, metrics));
    run();
  }

  /// Ends the actor as a drain does.
  void stop() {
    caf::anon_send(actor, drain{});
    run();
    actor = nullptr;
    store.reset();
  }

  void restart() {
    stop();
    start();
  }

  struct part {
    std::string stream;
    std::size_t events;
    std::size_t body_bytes = 0;
  };

  /// A batch with the next tickets; its token is its first ticket.
  append_batch_ptr batch(caf::scoped_actor& front, const std::vector<part>& parts,
                         bool urgent = true) {
    auto made = std::make_shared<append_batch>();
    made->token = made->first_ticket = node.next_ticket.load();
    made->urgent = urgent;
    made->front_end = stand_in(front);
    for (const auto& p : parts) {
      made->blocks.push_back(std::make_shared<event_block>(
          numbered_block(node.next_ticket.load(), p.events, p.stream, p.body_bytes)));
      node.next_ticket += p.events;
      made->events += p.events;
    }
    return made;
  }

  void send(const append_batch_ptr& which) { caf::anon_send(actor, which); }

  /// Sends a batch of one block; gives its token.
  std::uint64_t post(caf::scoped_actor& front, const std::string& stream, std::size_t events = 1,
                     bool urgent = true) {
    auto made = batch(front, {{stream, events}}, urgent);
    const auto token = made->token;
    send(made);
    return token;
  }

  /// The only message that the front end has got; without tokens when it has got none.
  append_done told(caf::scoped_actor& front) {
    append_done first, second;
    if (!take(front, first)) return {};
    CHECK_FALSE(take(front, second));
    return first;
  }

  /// The sequence numbers that can be read from the disk.
  std::vector<std::uint64_t> durable(const std::string& stream) {
    return numbers(read_all(store->real(), stream));
  }

  temporary_dir dir;
  journal_options options;
  journal_actor_settings settings;
  node_state node;
  std::shared_ptr<watched_journal> store;
  std::shared_ptr<journal_metrics> metrics;
  caf::scoped_actor front_a, front_b;
  caf::actor actor;
};

using tokens = std::vector<std::uint64_t>;
using rows = std::vector<written_row>;

} // namespace penstock::test
