#include "cli/client/consumer.hpp"
#include "cli/client/exec.hpp"
#include "tests/unit/cli/fake_server.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <deque>
#include <future>
#include <thread>

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

namespace {

// The queue's side of the contract, for one stream with events e1, e2, ...
class fake_queue {
 public:
  explicit fake_queue(int events) {
    for (int i = 1; i <= events; ++i)
      waiting_.push_back(i);
  }

  fake_answer operator()(const fake_request& request) {
    const std::lock_guard lock{mutex_};
    const auto body = boost::json::parse(request.body).as_object();
    if (request.target.ends_with("/ack")) return settle(body, acked);
    if (request.target.ends_with("/nack")) return settle(body, nacked);
    if (request.target.find("?from=") != std::string::npos) return read_again(request, body);
    boost::json::array messages;
    for (auto max = body.at("max").as_int64(); max > 0 && !waiting_.empty(); --max) {
      messages.push_back(message(waiting_.front(), true));
      waiting_.pop_front();
    }
    return {200, boost::json::serialize(boost::json::object{{"messages", messages}})};
  }

  std::vector<std::string> acked, nacked;

 private:
  static boost::json::object message(int number, bool leased) {
    boost::json::object fields;
    if (leased) fields["receipt"] = "r" + std::to_string(number);
    fields["id"] = "e" + std::to_string(number);
    fields["data"] = "b\u00f6dy";
    return fields;
  }

  static fake_answer settle(const boost::json::object& body, std::vector<std::string>& into) {
    for (const auto& receipt : body.at("receipts").as_array())
      into.emplace_back(receipt.as_string());
    return {200, "{}"};
  }

  // Five events, from the named one on.
  static fake_answer read_again(const fake_request& request, const boost::json::object& body) {
    const auto from = request.target.substr(request.target.find("?from=") + 6);
    boost::json::array messages;
    for (int i = std::stoi(from.substr(1)); i <= 5; ++i)
      if (messages.size() < static_cast<std::size_t>(body.at("max").as_int64()))
        messages.push_back(message(i, false));
    return {200, boost::json::serialize(boost::json::object{{"messages", messages}})};
  }

  std::mutex mutex_;
  std::deque<int> waiting_;
};

struct outcome {
  std::vector<std::string> ids;
  result<consume_totals> totals = consume_totals{};
};

using decision = std::function<handled(const std::string& id)>;

outcome consume_all(
    const fake_server& server, consume_options options,
    const decision& decide = [](const std::string&) { return handled::done; },
    bool finish_ok = true, std::uint64_t most = 0) {
  options.follow = false;
  message_budget budget{most};
  outcome seen;
  http_client client{*server_url::parse(server.url()), "token-of-ours"};
  const std::atomic<bool> stopping{false};
  seen.totals = consume(
      client, options, budget, stopping,
      [&](const message& what) {
        CHECK_FALSE(what.contains("receipt"));
        seen.ids.emplace_back(what.at("id").as_string());
        return decide(seen.ids.back());
      },
      [&] { return finish_ok; });
  return seen;
}

using strings = std::vector<std::string>;

} // namespace

TEST_CASE("a consumer receives in order and acknowledges several at once") {
  fake_queue queue{5};
  const fake_server server{std::ref(queue)};
  consume_options options;
  options.batch = 3;
  const auto seen = consume_all(server, options);
  CHECK(seen.ids == strings{"e1", "e2", "e3", "e4", "e5"});
  CHECK(queue.acked == strings{"r1", "r2", "r3", "r4", "r5"});
  CHECK(queue.nacked.empty());
  CHECK(seen.totals->acknowledged == 5);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 5); // 3, ack, 2, ack, none
  CHECK(requests[0].target == "/v1/queue/default/receive");
  CHECK(requests[0].body == R"({"max":3,"wait_s":0,"lease_s":30})");
  CHECK(requests[0].authorization == "Bearer token-of-ours");
  CHECK(requests[1].body == R"({"receipts":["r1","r2","r3"]})");
  CHECK(server.connections() == 1);
}

TEST_CASE("a consumer waits for a node that has no room, for a while") {
  fake_queue queue{3};
  int busy = 0; // answers of 503 to come
  const fake_server server{[&](const fake_request& request) {
    if (busy > 0) return --busy, fake_answer{503, R"({"title":"Service Unavailable"})"};
    if (!request.target.ends_with("/ack")) busy = 2; // the next one: an acknowledgement
    return queue(request);
  }};
  consume_options options;
  options.busy_pause = 1ms;
  const auto seen = consume_all(server, options);
  CHECK(seen.ids == strings{"e1", "e2", "e3"});
  CHECK(queue.acked == strings{"r1", "r2", "r3"});
  CHECK(seen.totals.has_value());
  options.max_busy = 0ms;
  busy = 1'000'000;
  const auto given_up = consume_all(server, options);
  REQUIRE(given_up.totals.has_error());
  CHECK(given_up.totals.error().code == errc::unavailable);
}

TEST_CASE("a consumer stops at the number it was given") {
  fake_queue queue{5};
  const fake_server server{std::ref(queue)};
  consume_options options;
  options.batch = 3;
  const auto always = [](const std::string&) { return handled::done; };
  CHECK(consume_all(server, options, always, true, 4).ids.size() == 4);
  CHECK(queue.acked.size() == 4);
}

TEST_CASE("workers that share a budget handle so many messages together") {
  message_budget budget{5};
  CHECK(budget.take(3) == 3);
  CHECK(budget.take(3) == 2);
  CHECK(budget.take(3) == 0);
  budget.give_back(1); // one of them could not be handled
  CHECK(budget.take(3) == 1);
  message_budget endless{0};
  CHECK(endless.take(1000) == 1000);
  endless.give_back(1000);
  CHECK(endless.take(1000) == 1000);
}

TEST_CASE("what fails goes back, what follows goes on") {
  fake_queue queue{3};
  const fake_server server{std::ref(queue)};
  consume_all(server, {},
              [](const std::string& id) { return id == "e2" ? handled::retry : handled::done; });
  CHECK(queue.acked == strings{"r1", "r3"});
  CHECK(queue.nacked == strings{"r2"});
}

TEST_CASE("after a stop the rest goes back unseen") {
  fake_queue queue{3};
  const fake_server server{std::ref(queue)};
  const auto seen = consume_all(
      server, {}, [](const std::string& id) { return id == "e2" ? handled::stop : handled::done; });
  CHECK(seen.ids == strings{"e1", "e2"});
  CHECK(queue.acked == strings{"r1"});
  CHECK(queue.nacked == strings{"r2", "r3"});
}

TEST_CASE("a batch whose output did not arrive is not acknowledged") {
  fake_queue queue{2};
  const fake_server server{std::ref(queue)};
  consume_all(
      server, {}, [](const std::string&) { return handled::done; }, false);
  CHECK(queue.acked.empty());
  CHECK(queue.nacked == strings{"r1", "r2"});
}

TEST_CASE("a signal ends it after the message under way, and the rest goes back") {
  fake_queue queue{3};
  const fake_server server{std::ref(queue)};
  http_client client{*server_url::parse(server.url()), ""};
  std::atomic<bool> stopping{false};
  message_budget budget{0};
  const auto totals = consume(
      client, {}, budget, stopping,
      [&](const message&) {
        stopping = true;
        return handled::done;
      },
      [] { return true; });
  REQUIRE(totals.has_value());
  CHECK(queue.acked == strings{"r1"});
  CHECK(queue.nacked == strings{"r2", "r3"});
}

TEST_CASE("reading again goes to the end, once each, without acknowledging") {
  fake_queue queue{0};
  const fake_server server{std::ref(queue)};
  consume_options options;
  options.from = "e2";
  options.batch = GENERATE(1, 2, 100);
  const auto seen = consume_all(server, options);
  CHECK(seen.ids == strings{"e2", "e3", "e4", "e5"});
  CHECK(queue.acked.empty());
  CHECK(queue.nacked.empty());
}

TEST_CASE("a time to read again from is encoded") {
  const fake_server server{[](const fake_request&) {
    return fake_answer{200, R"({"messages":[]})"};
  }};
  consume_options options;
  options.from = "2026-01-01T00:00:00+01:00";
  consume_all(server, options);
  CHECK(server.requests().at(0).target ==
        "/v1/queue/default/receive?from=2026-01-01T00%3A00%3A00%2B01%3A00");
}

TEST_CASE("refusals and nonsense are told") {
  using Catch::Matchers::Contains;
  const auto answered = [](fake_answer answer) {
    const fake_server server{[&](const fake_request&) { return answer; }};
    return consume_all(server, {}).totals.error();
  };
  const auto denied = answered({401, R"({"title":"Unauthorized","detail":"a token is needed"})"});
  CHECK(denied.code == errc::config);
  CHECK(denied.message == "the admin plane answered 401: Unauthorized: a token is needed");
  CHECK(answered({404, "nothing"}).code == errc::invalid);
  CHECK(answered({503, "{}"}).code == errc::unavailable);
  for (const auto* nonsense : {"", "<html>", "[]", "{}", R"({"messages":3})", R"({"messages":[3]})",
                               R"({"messages":[{"receipt":"r"}]})", R"({"messages":[{"id":"e"}]})"})
    CHECK_THAT(answered({200, nonsense}).message,
               Contains("is this the address of a penstock node?"));
}

TEST_CASE("an admin plane that is not there is unavailable") {
  std::string url;
  {
    url = fake_server{[](const fake_request&) { return fake_answer{}; }}.url();
  }
  http_client client{*server_url::parse(url), ""};
  const std::atomic<bool> stopping{false};
  message_budget budget{0};
  const auto ended = consume(
      client, {}, budget, stopping, [](const message&) { return handled::done; },
      [] { return true; });
  REQUIRE(ended.has_error());
  CHECK(ended.error().code == errc::unavailable);
  CHECK(ended.error().message ==
        "the admin plane at " + url + " can't be reached: Connection refused");
}

TEST_CASE("the client connects again after the server has closed a kept connection") {
  const fake_server server{[](const fake_request&) { return fake_answer{200, "ok", true}; }};
  http_client client{*server_url::parse(server.url()), ""};
  for (int sent = 0; sent < 2; ++sent) {
    const auto answer = client.post("/", "{}", 5s);
    REQUIRE(answer.has_value());
    CHECK(answer->body == "ok");
    while (server.ended() <=
           sent) // else the client may send on a connection that is about to close
      std::this_thread::yield();
  }
  CHECK(server.connections() == 2);
}

TEST_CASE("a server that does not answer in time is given up") {
  std::promise<void> ended;
  const fake_server server{[&](const fake_request&) {
    ended.get_future().wait();
    return fake_answer{};
  }};
  http_client client{*server_url::parse(server.url()), ""};
  const auto answer = client.post("/", "{}", 50ms);
  ended.set_value();
  REQUIRE(answer.has_error());
  CHECK(answer.error().message ==
        "the admin plane at " + server.url() + " can't be reached: no answer in time");
}

TEST_CASE("addresses of servers are parsed") {
  CHECK(server_url::parse("http://127.0.0.1:8081")->port == "8081");
  CHECK(server_url::parse("http://[::1]:8081/")->host == "::1");
  CHECK(server_url::parse("http://[::1]:8081/")->text() == "http://[::1]:8081");
  CHECK(server_url::parse("http://example.org")->port == "80");
  for (const auto* bad : {"", "127.0.0.1:8081", "https://x", "http://", "http://:80",
                          "http://x:", "http://x:99999", "http://x:80/path", "http://u@x"})
    CHECK(server_url::parse(bad).has_error());
}

TEST_CASE("a command gets its input and variables, and its exit code counts") {
  CHECK(*run_shell_command("test \"$(cat)\" = 'a b' && test $PENSTOCK_ID = e1", "a b",
                           {{"PENSTOCK_ID", "e1"}}) == 0);
  CHECK(*run_shell_command("exit 3", "", {}) == 3);
  CHECK(*run_shell_command("kill -9 $$", "", {}) == 128 + 9);
  // More than a pipe holds, to a command that never reads, and to one that reads it all.
  const std::string large(1u << 20, 'x');
  CHECK(*run_shell_command("true", large, {}) == 0);
  CHECK(*run_shell_command("test $(wc -c) -eq 1048576", large, {}) == 0);
}
