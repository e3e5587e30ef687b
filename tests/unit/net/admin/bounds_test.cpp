// The admin plane under strangers, many consumers, and clients that do not read.
#include "net/admin/admin_settings.hpp"
#include "tests/unit/net/admin/admin_support.hpp"

#include <chrono>
#include <deque>
#include <thread>

using namespace penstock;
using namespace penstock::admin_test;

namespace {

constexpr const char* json_type = "Content-Type: application/json\r\n";

/// One connection that sends what it is told to, byte for byte.
struct raw_client {
  asio::io_context io;
  boost::beast::tcp_stream stream{io};
  boost::beast::flat_buffer buffer;

  explicit raw_client(const running_server& of) {
    stream.socket().open(asio::ip::tcp::v4());
    stream.socket().set_option(asio::socket_base::receive_buffer_size{4096});
    stream.socket().connect({asio::ip::make_address("127.0.0.1"), of.server->port()});
  }
  raw_client& send(const std::string& text) {
    asio::write(stream.socket(), asio::buffer(text));
    return *this;
  }
  raw_client& ask(const std::string& line, const std::string& more = "") {
    return send(line + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n");
  }
  raw_client& post(const std::string& target, const std::string& body,
                   const std::string& more = "") {
    ask("POST " + target,
        json_type + more + "Content-Length: " + std::to_string(body.size()) + "\r\n");
    return send(body);
  }
  http::response<http::string_body> read() {
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    http::read(stream, buffer, parser);
    return parser.release();
  }
  unsigned status() { return read().result_int(); }
  /// Waits until the server ends the connection.
  bool is_closed() {
    char byte = 0;
    boost::system::error_code failed;
    return stream.socket().read_some(asio::buffer(&byte, 1), failed) == 0 && failed;
  }
};

constexpr const char* wait_for_some = R"({"wait_s":20})";

void until(const std::function<bool()>& holds) {
  for (int i = 0; i < 20'000 && !holds(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  REQUIRE(holds());
}

std::size_t receives_of(running_server& s) {
  const std::lock_guard hold{s.queue.mutex};
  return s.queue.receives.size();
}

} // namespace

TEST_CASE("the token is looked at before the body is there", "[admin bounds]") {
  running_server s{"s3cret"};
  const std::string much = "Content-Length: 1000000\r\n";
  for (const std::string more :
       {"", "Expect: 100-continue\r\n", "Authorization: Bearer wrong\r\n"}) {
    raw_client client{s};
    CHECK(client.ask("POST /v1/queue/s/ack", json_type + much + more).status() == 401);
  }
  raw_client friendly{s};
  friendly.ask("POST /v1/queue/s/ack",
               json_type + std::string{"Content-Length: 2\r\n"} +
                   "Expect: 100-continue\r\nAuthorization: Bearer s3cret\r\n");
  http::response<http::empty_body> go_on;
  http::read(friendly.stream, friendly.buffer, go_on);
  CHECK(go_on.result_int() == 100);
  CHECK(friendly.send("{}").status() == 400);
}

TEST_CASE("a small body of a refused request is passed over", "[admin bounds]") {
  running_server s{"s3cret"};
  raw_client client{s};
  CHECK(client.post("/v1/queue/s/ack", "{}").status() == 401);
  CHECK(client.post("/nothing", "{}", "Authorization: Bearer s3cret\r\n").status() == 404);
  CHECK(client.ask("POST /v1/queue/s/ack", "Content-Length: 2\r\nAuthorization: Bearer s3cret\r\n")
            .send("{}")
            .status() == 415);
  CHECK(client.ask("GET /livez").status() == 200);
  CHECK(client.post("/v1/queue/s/ack", std::string(max_admin_skipped_bytes + 1, ' ')).status() ==
        401);
  CHECK(client.is_closed());
}

TEST_CASE("consumers that wait take no operator's place", "[admin bounds]") {
  running_server s{admin_settings{.listen = "127.0.0.1:0",
                                  .token = "",
                                  .max_strangers = 4,
                                  .max_operators = 2,
                                  .max_consumers = 3}};
  s.queue.empty = true;
  std::deque<raw_client> waiting;
  for (std::size_t i = 0; i < 3; ++i)
    waiting.emplace_back(s).post("/v1/queue/s/receive", wait_for_some);
  until([&] { return receives_of(s) == 3; });
  raw_client late{s};
  const auto refused = late.post("/v1/queue/s/receive", wait_for_some).read();
  CHECK(refused.result_int() == 503);
  CHECK(refused[http::field::retry_after] == "1");
  CHECK(late.ask("GET /readyz").status() == 200);
  CHECK(late.ask("GET /metrics").status() == 200);
  CHECK(late.ask("GET /v1/admin/plans").status() == 503); // there are none; it was asked
  // The end of one client ends its wait, and leaves its place to the next.
  waiting.pop_front();
  until([&] { return s.queue.stopped == 1; });
  until([&] { return late.post("/v1/queue/s/receive", R"({"max":1})").status() == 200; });
}

TEST_CASE("idle connections give way", "[admin bounds]") {
  running_server s{admin_settings{.listen = "127.0.0.1:0",
                                  .token = "",
                                  .max_strangers = 3,
                                  .max_operators = 2,
                                  .max_consumers = 2}};
  s.stream.close();
  std::deque<raw_client> idle;
  for (int i = 0; i < 2; ++i)
    CHECK(idle.emplace_back(s).ask("GET /v1/admin/replay").status() == 503); // an operator's
  for (int i = 0; i < 40; ++i)
    idle.emplace_back(s);
  raw_client probe{s};
  CHECK(probe.ask("GET /readyz").status() == 200);
  raw_client later{s};
  CHECK(later.ask("GET /v1/admin/replay").status() == 503);
  CHECK(idle[0].is_closed()); // the operator that was idle longest
  CHECK(idle[2].is_closed()); // strangers
  CHECK(idle[30].is_closed());
  CHECK(later.ask("GET /metrics").status() == 200);
}

TEST_CASE("the bodies of all requests have a bound", "[admin bounds]") {
  running_server s{admin_settings{.listen = "127.0.0.1:0", .token = "", .max_bodies_bytes = 2000}};
  raw_client first{s};
  first.ask("POST /v1/queue/s/ack", std::string{json_type} + "Content-Length: 900\r\n");
  const std::string body = R"({"receipts":[]})" + std::string(485, ' ');
  raw_client second{s};
  until([&] { return second.post("/v1/queue/s/ack", body).status() == 503; });
  CHECK(second.ask("GET /metrics").status() == 200);
  CHECK(second.post("/v1/admin/drain", "{}").status() == 503);  // there is none; it was asked
  CHECK(second.post("/v1/admin/replay", body).status() == 400); // an operator's own room
  // One of unknown size is counted as it comes.
  raw_client chunked{s};
  chunked.ask("POST /v1/queue/s/ack", std::string{json_type} + "Transfer-Encoding: chunked\r\n");
  chunked.send("1f4\r\n" + body + "\r\n");
  CHECK(chunked.status() == 503);
  CHECK(chunked.is_closed());
  first.send(R"({"receipts":[]})" + std::string(885, ' '));
  CHECK(first.status() == 200);
  CHECK(second.post("/v1/queue/s/ack", body).status() == 200);
}

TEST_CASE("answers that nobody reads have a bound", "[admin bounds]") {
  running_server s{
      admin_settings{.listen = "127.0.0.1:0", .token = "", .max_answers_bytes = 32u << 20}};
  s.queue.body.assign(14u << 20, 'x');
  raw_client slow{s};
  slow.post("/v1/queue/s/receive", "{}");
  until([&] { return receives_of(s) == 1; });
  raw_client second{s};
  const auto refused = second.post("/v1/queue/s/receive", "{}").read();
  CHECK(refused.result_int() == 503);
  until([&] {
    const std::lock_guard hold{s.queue.mutex};
    return s.queue.receipts.size() == 1 && !s.queue.receipts[0].accept; // they went back
  });
  CHECK(second.ask("GET /metrics").status() == 200);
  // Beside an answer of that size the next receive is told to be small.
  CHECK(s.queue.receives[1].max_bytes < s.queue.receives[0].max_bytes);
  CHECK(slow.read().body().size() > (14u << 20));
}

TEST_CASE("consumers that wait refuse no large message", "[admin bounds]") {
  running_server s{
      admin_settings{.listen = "127.0.0.1:0", .token = "", .max_answers_bytes = 8u << 20}};
  s.queue.empty = true;
  std::deque<raw_client> waiting;
  for (std::size_t i = 0; i < 100; ++i)
    waiting.emplace_back(s).post("/v1/queue/s/receive", wait_for_some);
  until([&] { return receives_of(s) == 100; });
  s.queue.body.assign(3u << 20, 'x');
  raw_client one{s};
  CHECK(one.post("/v1/queue/s/receive", "{}").status() == 200);
}

TEST_CASE("HEAD is GET without the body", "[admin bounds]") {
  running_server s;
  raw_client client{s};
  client.ask("HEAD /livez");
  http::response_parser<http::empty_body> parser;
  parser.skip(true);
  http::read(client.stream, client.buffer, parser);
  CHECK(parser.get().result_int() == 200);
  CHECK(parser.get()[http::field::content_length] == "3");
  CHECK(client.ask("GET /livez").status() == 200);
}

TEST_CASE("a browser logs in with the token, and only looks", "[admin bounds]") {
  running_server s{"s3cret&+ %"};
  raw_client browser{s};
  const std::string form_type = "Content-Type: application/x-www-form-urlencoded\r\n";
  const auto login = [&](const std::string& form, const std::string& more = "") {
    browser.ask("POST /login",
                form_type + more + "Content-Length: " + std::to_string(form.size()) + "\r\n");
    return browser.send(form).read();
  };
  const auto page = browser.ask("GET /").read();
  CHECK(page.result_int() == 401);
  CHECK(page.body().find("<form method=\"post\" action=\"login\">") != std::string::npos);
  CHECK(std::string{page["Content-Security-Policy"]}.find("frame-ancestors 'none'") !=
        std::string::npos);
  CHECK(login("token=wrong").result_int() == 401);
  CHECK(login("nothing").result_int() == 401);
  CHECK(login("token=s3cret%26%2B+%25", "Origin: http://localhost:1\r\n").result_int() == 403);
  const auto in = login("token=s3cret%26%2B+%25", "Origin: http://localhost\r\n");
  CHECK(in.result_int() == 303);
  CHECK(in[http::field::location] == "./");
  const std::string given{in[http::field::set_cookie]};
  CHECK(given.find("; HttpOnly; SameSite=Strict") != std::string::npos);
  const auto cookie = "Cookie: " + given.substr(0, given.find(';')) + "\r\n";
  CHECK(browser.ask("GET /", cookie).read().body().find("action=\"logout\"") != std::string::npos);
  CHECK(browser.ask("GET /v1/admin/status", cookie).status() == 200);
  CHECK(browser.ask("GET /v1/queue/s", cookie).status() == 401);
  CHECK(browser.post("/v1/queue/s/receive", "{}", cookie).status() == 401);
  CHECK(browser.ask("GET /v1/admin/status", "Cookie: penstock_session=1\r\n").status() == 401);
  browser.ask("POST /logout", cookie + form_type + "Content-Length: 0\r\n");
  CHECK(browser.status() == 303);
  CHECK(browser.ask("GET /v1/admin/status", cookie).status() == 401);
  // Wrong ones are forgotten one a second, so on a slow machine it takes a few more.
  bool limited = false;
  for (int i = 0; i < 1000 && !limited; ++i)
    limited = login("token=wrong").result_int() == 429;
  CHECK(limited);
}
