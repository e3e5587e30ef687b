#include "net/http/answer_queue.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace penstock;

namespace {

struct answers_world {
  front_end_metrics metrics;
  lane_memory memory{1 << 20, metrics};
  answer_queue queue{memory, 2};

  bool answer(std::uint32_t number, const std::string& text) {
    queue.begin(number) += text;
    return queue.end(number);
  }
  std::string unsent() const { return std::string{queue.unsent()}; }
  void send_all() {
    queue.sent(queue.unsent().size());
    queue.end_sending();
  }
};

} // namespace

TEST_CASE("answers leave in the order of their requests, whichever is there first") {
  answers_world w;
  const auto a = w.queue.open(), b = w.queue.open(), c = w.queue.open();
  CHECK_FALSE(w.answer(b, "b"));
  CHECK_FALSE(w.answer(c, "c"));
  CHECK(w.queue.all_sent());
  CHECK(w.queue.pending() == 3);
  CHECK(w.answer(a, "a"));
  CHECK(w.unsent() == "abc");
  CHECK(w.queue.pending() == 0);
  CHECK(w.queue.unanswered() == 3); // until the socket has them
  w.send_all();
  CHECK(w.queue.unanswered() == 0);
}

TEST_CASE("numbers of exchanges stay right however often the queue is tidied") {
  answers_world w;
  const auto last = w.queue.open();
  auto open = last;
  for (int i = 0; i < 100; ++i) {
    const auto next = w.queue.open();
    CHECK(w.answer(open, std::to_string(i) + ' '));
    open = next;
    CHECK(w.queue.pending() == 1);
  }
  CHECK(w.unsent().starts_with("0 1 2 "));
  CHECK(w.answer(open, "end"));
  CHECK(w.unsent().ends_with(" 98 99 end"));
  w.send_all();
  CHECK(w.answer(w.queue.open(), "more"));
  CHECK(w.unsent() == "more");
}

TEST_CASE("what answers hold and are expected to hold is in the lane's ledger until it is sent") {
  answers_world w;
  const auto a = w.queue.open(), b = w.queue.open();
  w.queue.hold(a, 100, 1000);
  w.queue.hold(b, 10, 0);
  CHECK(w.queue.request_bytes() == 110);
  CHECK(w.memory.total() == 1000);
  w.answer(b, std::string(5000, 'b'));
  CHECK(w.queue.request_bytes() == 100);
  CHECK(w.memory.total() >= 6000);
  w.answer(a, "a");
  CHECK(w.queue.request_bytes() == 0);
  CHECK(w.memory.total() >= 5001);
  CHECK(w.memory.total() < 6000 + 5001);
  w.queue.sent(4000);
  CHECK(w.queue.unsent().size() == 1001);
  w.send_all();
  CHECK(w.memory.total() == 0);
}

TEST_CASE("a connection that closes takes its answers out of the ledger") {
  answers_world w;
  const auto a = w.queue.open(), b = w.queue.open();
  w.queue.hold(a, 7, 70);
  w.answer(b, "waits");
  w.queue.clear();
  CHECK(w.memory.total() == 0);
  CHECK(w.queue.request_bytes() == 0);
  CHECK(w.queue.pending() == 0);
  CHECK(w.queue.all_sent());
  CHECK(w.queue.open() == 0);
}
