#include "actors/journal/journal_messages.hpp"
#include "actors/queue/queue_state.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>

using namespace penstock;

namespace {

/// A block of `count` events whose bodies are their sequence numbers.
const_block_ptr block_of(std::uint64_t first_seq, std::size_t count) {
  auto out = std::make_shared<event_block>();
  out->first_seq = first_seq;
  out->time_ms = static_cast<std::int64_t>(first_seq) * 10;
  out->stream = "s";
  out->content_types = {"text/plain"};
  for (std::size_t i = 0; i < count; ++i) {
    out->bodies += std::to_string(first_seq + i);
    out->events.push_back({static_cast<std::uint32_t>(out->bodies.size()), 0, 0, 0});
  }
  return out;
}

cursor at(std::uint64_t seq) {
  return {"s", "queue", seq, {}};
}

queue_state make(const cursor& from = at(0), queue_limits limits = {}) {
  return {from, limits, 1'000, 0};
}

std::vector<std::uint64_t> seqs(const std::vector<queued_message>& messages) {
  std::vector<std::uint64_t> out;
  for (const auto& message : messages)
    out.push_back(message.ticket.seq);
  return out;
}

using seq_list = std::vector<std::uint64_t>;
constexpr std::size_t any_bytes = 1u << 30;

} // namespace

TEST_CASE("a receipt survives its text form and nothing else parses") {
  const receipt r{0xfedcba9876543210, 42};
  CHECK(parse_receipt(format_receipt(r)) == r);
  for (const auto* bad : {"", ".", "1", "1.", ".1", "1.2x", "x.1", "0.1", "1.0", "-1.1", "1.2.3",
                          "11111111111111111.1", "1 .2"})
    CHECK_FALSE(parse_receipt(bad).has_value());
}

TEST_CASE("events come in journal order, once") {
  auto q = make();
  CHECK(q.add({block_of(1, 3), block_of(10, 2)}).events == 5);
  CHECK(seqs(q.receive(2, any_bytes, 100, 0)) == seq_list{1, 2});
  CHECK(seqs(q.receive(9, any_bytes, 100, 0)) == seq_list{3, 10, 11});
  CHECK(q.receive(9, any_bytes, 100, 0).empty());
  CHECK(q.in_flight() == 5);
}

TEST_CASE("the bytes that wait are those of what is not acknowledged") {
  auto q = make(at(1));
  CHECK(q.add({block_of(1, 3), block_of(10, 2)}) == event_volume{4, 6}); // 2, 3, 10 and 11
  CHECK(q.unacked_bytes_in_window() == 6);
  const auto first = q.receive(9, any_bytes, 100, 0);
  CHECK(q.unacked_bytes_in_window() == 6);
  q.ack(first[2].ticket);
  CHECK(q.unacked_bytes_in_window() == 4);
  q.ack(first[2].ticket);
  q.nack(first[0].ticket);
  CHECK(q.unacked_bytes_in_window() == 4);
}

TEST_CASE("of rows that overlap each event comes once, and under its own receipt") {
  auto q = make();
  CHECK(q.add({block_of(1, 3)}).events == 3);
  CHECK(q.add({block_of(1, 5)}).events == 2); // from the same number on
  CHECK(q.add({block_of(4, 5)}).events == 3); // 6 to 8
  const auto all = q.receive(99, any_bytes, 100, 0);
  CHECK(seqs(all) == seq_list{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(q.in_flight() == 8);
  CHECK(q.nack(all[5].ticket) == receipt_outcome::done);
  CHECK(seqs(q.receive(99, any_bytes, 100, 0)) == seq_list{6});
  for (const auto& each : all) {
    const bool is_out_again = each.ticket.seq == 6;
    CHECK(q.ack(each.ticket) == (is_out_again ? receipt_outcome::stale : receipt_outcome::done));
    CHECK(q.confirmed() == std::min<std::uint64_t>(each.ticket.seq, 5)); // 6 is out again
  }
  CHECK(q.expire(200) == 1);
  const auto last = q.receive(99, any_bytes, 100, 200);
  CHECK(seqs(last) == seq_list{6});
  CHECK(q.ack(last[0].ticket) == receipt_outcome::done);
  CHECK(q.confirmed() == 8);
  CHECK(q.unacked_in_window() == 0);
  CHECK(q.window_bytes() == 0);
}

TEST_CASE("what lies in a row before a position that was passed over does not come again") {
  auto q = make();
  q.pass_over(3);
  CHECK(q.add({block_of(1, 5)}).events == 2);
  CHECK(seqs(q.receive(99, any_bytes, 100, 0)) == seq_list{4, 5});
}

TEST_CASE("a receive is bounded by the bytes of its bodies") {
  auto q = make();
  q.add({block_of(1, 9)});
  CHECK(q.receive(9, 3, 100, 0).size() == 3);
}

TEST_CASE("an expired lease is handed out again before new events") {
  auto q = make();
  q.add({block_of(1, 4)});
  const auto first = q.receive(2, any_bytes, 100, 0);
  CHECK(q.next_expiry_ms() == 100);
  CHECK(q.expire(99) == 0);
  CHECK(q.expire(100) == 2);
  const auto again = q.receive(3, any_bytes, 100, 100);
  CHECK(seqs(again) == seq_list{1, 2, 3});
  CHECK(again[0].repeat);
  CHECK_FALSE(again[2].repeat);
  SECTION("then the first consumer's receipt is refused") {
    CHECK(q.ack(first[0].ticket) == receipt_outcome::stale);
    CHECK(q.nack(first[0].ticket) == receipt_outcome::stale);
    CHECK(q.ack(again[0].ticket) == receipt_outcome::done);
    CHECK(q.ack(first[0].ticket) == receipt_outcome::done); // acknowledged by whomever
  }
}

TEST_CASE("a late acknowledgement counts while nobody else has the event") {
  auto q = make();
  q.add({block_of(1, 2)});
  const auto got = q.receive(2, any_bytes, 100, 0);
  q.expire(500);
  CHECK(q.ack(got[0].ticket) == receipt_outcome::done);
  CHECK(seqs(q.receive(9, any_bytes, 100, 500)) == seq_list{2});
}

TEST_CASE("an event given back is handed out at once, and its receipt is void") {
  auto q = make();
  q.add({block_of(1, 3)});
  const auto got = q.receive(2, any_bytes, 100, 0);
  CHECK(q.nack(got[1].ticket) == receipt_outcome::done);
  CHECK(q.ack(got[1].ticket) == receipt_outcome::stale);
  CHECK(q.nack(got[1].ticket) == receipt_outcome::stale);
  CHECK(seqs(q.receive(9, any_bytes, 100, 0)) == seq_list{2, 3});
}

TEST_CASE("receipts that were never given out are refused") {
  auto q = make();
  q.add({block_of(1, 2)});
  CHECK(q.ack({1, 1'000}) == receipt_outcome::stale);
  CHECK(q.ack({7, 1'000}) == receipt_outcome::stale);
  const auto got = q.receive(1, any_bytes, 100, 0);
  CHECK(q.ack({1, got[0].ticket.lease + 1}) == receipt_outcome::stale);
  CHECK(q.nack({2, got[0].ticket.lease}) == receipt_outcome::stale);
}

TEST_CASE("the cursor follows what is acknowledged without a gap") {
  auto q = make();
  q.add({block_of(5, 2), block_of(20, 2)});
  q.pass_over(30);
  const auto got = q.receive(9, any_bytes, 100, 0);
  q.ack(got[1].ticket);
  CHECK(q.to_save().seq == 0);
  CHECK(q.confirmed() == 4);
  q.ack(got[2].ticket);
  CHECK(q.to_save().acked_ahead.size() == 2); // [6, 20] is one: no event lies between
  CHECK(q.to_save().acked_ahead[0] == std::pair<std::uint64_t, std::uint64_t>{6, 20});
  q.ack(got[0].ticket);
  CHECK(q.to_save().seq == 20);
  q.ack(got[3].ticket);
  CHECK(q.to_save().seq == 30);
  CHECK(q.to_save().acked_ahead.empty());
  CHECK(q.confirmed() == 30);
  CHECK(q.window_bytes() == 0);
}

TEST_CASE("a restart takes up where the saved cursor stands") {
  auto q = make({"s", "queue", 2, {{4, 5}}});
  CHECK(q.position() == 2);
  CHECK(q.add({block_of(1, 7)}).events == 3); // begins before the cursor
  CHECK(q.unacked_in_window() == 3);
  CHECK(seqs(q.receive(9, any_bytes, 100, 0)) == seq_list{3, 6, 7});
}

TEST_CASE("receipts of an earlier life count until the event goes out again") {
  queue_state q{at(0), {}, 1'000, 50};
  q.add({block_of(1, 3)});
  CHECK(q.ack({2, 7}) == receipt_outcome::done);   // in the window, not handed out
  CHECK(q.ack({40, 7}) == receipt_outcome::done);  // not read yet
  CHECK(q.ack({51, 7}) == receipt_outcome::stale); // did not exist then
  const auto got = q.receive(9, any_bytes, 100, 0);
  CHECK(seqs(got) == seq_list{1, 3});
  CHECK(q.ack({1, 7}) == receipt_outcome::stale);
  q.add({block_of(39, 3)});
  CHECK(seqs(q.receive(9, any_bytes, 100, 0)) == seq_list{39, 41});
}

TEST_CASE("the bounds hold: leases, window, saved ranges") {
  queue_limits limits{.max_in_flight = 3, .window_bytes = 1, .read_ahead_bytes = 1u << 20};
  auto q = make(at(0), limits);
  CHECK(q.add({block_of(1, 5), block_of(6, 5)}).events == 5);
  CHECK_FALSE(q.wants_blocks());
  CHECK(q.position() == 5);
  CHECK(q.receive(9, any_bytes, 100, 0).size() == 3);
  CHECK_FALSE(q.has_ready());
  CHECK(q.receive(9, any_bytes, 100, 0).empty());

  auto wide = make();
  for (std::uint64_t i = 0; i < 4; ++i)
    wide.add({block_of(1 + i * 4'000, 4'000)});
  const auto got = wide.receive(16'000, any_bytes, 100, 0);
  for (std::size_t i = 1; i < got.size(); i += 2)
    wide.ack(got[i].ticket);
  CHECK(wide.to_save().acked_ahead.size() == max_acked_ranges);
  CHECK(wide.to_save().acked_ahead.front().first == 2);
}

namespace {

/// What the queue promises, in the simplest form that can be checked.
struct model {
  struct holder {
    std::uint64_t lease = 0;
    std::int64_t expiry = 0;
    bool returned = false;
  };
  std::vector<const_block_ptr> journal;
  std::set<std::uint64_t> all, acked, durable;
  std::map<std::uint64_t, holder> held; // this life's, by event
  std::vector<receipt> receipts;        // every life's
};

struct simulation {
  explicit simulation(std::mt19937_64 seeded) : random{seeded} {}

  std::mt19937_64 random;
  queue_limits limits{.max_in_flight = 40, .window_bytes = 20'000, .read_ahead_bytes = 6'000};
  model truth;
  std::int64_t now = 0;
  std::uint64_t next_seq = 1;
  std::uint64_t lives = 1;
  std::uint64_t recovered = 0;
  std::uint64_t last_fresh = 0;
  cursor saved = at(0);
  queue_state queue{saved, limits, 1 << 20, 0};

  std::uint64_t below(std::uint64_t n) { return random() % n; }

  void append() {
    next_seq += below(3); // other streams' events lie between
    const auto count = 1 + below(12);
    truth.journal.push_back(block_of(next_seq, count));
    for (std::uint64_t i = 0; i < count; ++i)
      truth.all.insert(next_seq++);
  }
  void pump() {
    if (!queue.wants_blocks()) return;
    std::vector<const_block_ptr> found;
    for (const auto& b : truth.journal)
      if (b->last_seq() > queue.position() && found.size() < 3) found.push_back(b);
    if (found.empty()) queue.pass_over(next_seq - 1);
    queue.add(found);
    REQUIRE(queue.window_bytes() < limits.window_bytes + 2'000);
  }
  void receive(std::size_t max) {
    queue.expire(now);
    const auto lease_ms = static_cast<std::int64_t>(1 + below(50));
    const auto got = queue.receive(max, any_bytes, lease_ms, now);
    REQUIRE(got.size() <= max);
    std::uint64_t before = 0;
    for (const auto& message : got) {
      const auto seq = message.ticket.seq;
      REQUIRE(seq > before); // in order
      before = seq;
      REQUIRE(message.block->body(message.index) == std::to_string(seq));
      REQUIRE(truth.acked.count(seq) == 0);
      const auto holder = truth.held.find(seq);
      REQUIRE(message.repeat == (holder != truth.held.end()));
      if (message.repeat) {
        REQUIRE((holder->second.returned || holder->second.expiry <= now));
      } else {
        REQUIRE(seq > last_fresh);
        last_fresh = seq;
      }
      truth.held[seq] = {message.ticket.lease, now + lease_ms, false};
      truth.receipts.push_back(message.ticket);
    }
    REQUIRE(queue.in_flight() <= limits.max_in_flight);
  }
  void acknowledge(bool accept) {
    if (truth.receipts.empty()) return;
    const auto recent = std::min<std::uint64_t>(truth.receipts.size(), 60);
    const auto r = truth.receipts[truth.receipts.size() - 1 - below(recent)];
    const auto holder = truth.held.find(r.seq);
    const bool mine =
        holder != truth.held.end() && holder->second.lease == r.lease && !holder->second.returned;
    const bool earlier = holder == truth.held.end(); // of an earlier life, not out since
    const bool known = truth.acked.count(r.seq) != 0;
    if (accept) {
      const bool expected = known || mine || earlier;
      REQUIRE((queue.ack(r) == receipt_outcome::done) == expected);
      if (expected) truth.acked.insert(r.seq);
    } else {
      const bool expected = !known && mine;
      REQUIRE((queue.nack(r) == receipt_outcome::done) == expected);
      if (expected) holder->second.returned = true;
    }
  }
  void save() {
    saved = queue.to_save();
    truth.durable = truth.acked;
  }
  void crash() {
    ++lives;
    recovered = next_seq - 1;
    queue = queue_state{saved, limits, lives << 20, recovered};
    truth.acked = truth.durable;
    truth.held.clear();
    last_fresh = 0;
  }
  void step() {
    now += static_cast<std::int64_t>(below(4));
    switch (below(20)) {
    case 0:
    case 1:
      return append();
    case 2:
    case 3:
    case 4:
      return pump();
    case 5:
      return acknowledge(false);
    case 6:
      return save();
    case 7:
      if (below(20) == 0) crash();
      return;
    case 8:
    case 9:
    case 10:
      return receive(1 + below(15));
    default:
      return acknowledge(true);
    }
  }
  void drain() {
    for (int round = 0; truth.acked != truth.all; ++round) {
      REQUIRE(round < 10'000);
      now += 60;
      pump();
      receive(40);
      for (const auto& [seq, holder] : std::map{truth.held})
        if (!holder.returned && queue.ack({seq, holder.lease}) == receipt_outcome::done)
          truth.acked.insert(seq);
    }
  }
};

} // namespace

TEST_CASE("whatever happens, nothing is lost and nothing acknowledged comes again") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    simulation run{std::mt19937_64{seed}};
    for (int i = 0; i < 4'000; ++i)
      run.step();
    run.drain();
    run.pump();
    CHECK(run.queue.unacked_in_window() == 0);
    CHECK(run.queue.in_flight() == 0);
    CHECK(run.queue.to_save().acked_ahead.empty());
    CHECK(run.queue.to_save().seq >= *run.truth.all.rbegin());
    CHECK(run.lives > 1);
  }
}
