#include "net/nats/nats_server.hpp"
#include "net/sinks/nats/nats_answer.hpp"
#include "net/sinks/nats/nats_message.hpp"
#include "net/sinks/nats/nats_sink.hpp"

#include "tests/unit/net/nats_process.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

sink_batch nats_batch_of(std::string_view stream, std::string_view body, std::string_view type,
                         std::string_view attributes = {}) {
  auto block = std::make_shared<event_block>();
  block->first_seq = 11;
  block->time_ms = 1'700'000'000'123;
  block->push(body, type, 0xabc, attributes);
  sink_batch out{.stream = std::string{stream}, .tag = "nbjoxe3h"};
  out.events.push_back({block, 0});
  return out;
}

std::string nats_header(const nats_message& message, const char* name) {
  const char* value = nullptr;
  return natsMsgHeader_Get(message.message.get(), name, &value) == NATS_OK ? value : "(none)";
}

nats_message nats_made(const sink_batch& batch) {
  nats_Open(-1); // a first connection would do it
  outgoing_form form{"/penstock/a"};
  return make_nats_message(form, batch.events[0], batch, "events.x", "in.1", "EVENTS");
}

std::string nats_config_fault(const nats_sink_settings& settings) {
  const auto made = make_nats_sink(settings, {.name = "bus", .node_name = "a"});
  return made ? "" : made.error().message;
}

} // namespace

TEST_CASE("a nats sink's URLs are read one by one and shown without secrets") {
  const auto servers = parse_nats_servers("nats://a:4222, tls://me:p@ss@[::1]:4333,nats://t0ken@b");
  REQUIRE(servers.has_value());
  REQUIRE(servers->size() == 3);
  CHECK((*servers)[0].shown == "nats://a:4222");
  CHECK_FALSE((*servers)[0].tls);
  CHECK((*servers)[1].shown == "tls://[::1]:4333");
  CHECK((*servers)[1].tls);
  CHECK((*servers)[2].shown == "nats://b");
  for (const char* bad : {"", "a:4222", "http://a", "nats://", "nats://a,", "nats://:4222",
                          "nats://me:secret@", "nats://a/secret", "nats://a b"}) {
    const auto wrong = parse_nats_servers(bad);
    CAPTURE(bad);
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().message.find("secret") == std::string::npos);
  }
}

TEST_CASE("subjects that no message can have are known") {
  for (const char* good : {"a", "events.x", "events.x-y_z.1", "a.b*", "a.$b"})
    CHECK(nats_subject_fault(good) == "");
  for (const char* bad :
       {"", ".", "a..b", ".a", "a.", "a b", "a\tb", "a.*.b", "a.>", "$JS.x", "_INBOX.x"}) {
    CAPTURE(bad);
    CHECK(nats_subject_fault(bad) != "");
  }
}

TEST_CASE("a nats sink's configuration names key and fix") {
  CHECK(nats_config_fault(nats_sink_settings{}) ==
        "sinks.bus.url: is not nats://HOST:PORT or tls://HOST:PORT, several with commas");
  CHECK(nats_config_fault({.url = "nats://a"}) == "");
  CHECK(nats_config_fault({.url = "nats://a", .subject = "a..{stream}"})
            .starts_with("sinks.bus.subject: 'a..{stream}' has nothing"));
  CHECK(nats_config_fault({.url = "nats://a", .stream = "a.b"}).starts_with("sinks.bus.stream"));
  CHECK(nats_config_fault({.url = "nats://a", .login = {.cert_file = "c"}})
            .starts_with("sinks.bus.key_file"));
  CHECK(nats_config_fault({.url = "nats://a", .login = {.password = "secret"}}) ==
        "sinks.bus.username: is missing, for there is a password");
}

TEST_CASE("JetStream's answers are told apart") {
  CHECK(read_nats_answer(R"({"stream":"E","seq":7})")->how == settled_as::delivered);
  CHECK(read_nats_answer(R"({"stream":"error","seq":7,"duplicate":true})")->how ==
        settled_as::delivered);
  const auto full = read_nats_answer(
      R"({"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},)"
      R"("stream":"E","seq":0})");
  REQUIRE(full.has_value());
  CHECK(full->how == settled_as::failed);
  CHECK(full->why.starts_with("JetStream error 10077: maximum bytes exceeded; "));
  const auto large = read_nats_answer(
      R"({"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum"}})");
  REQUIRE(large.has_value());
  CHECK(large->how == settled_as::refused);
  for (const char* other : {"", "OK", "{}", "[]", R"({"seq":1})", R"({"stream":"E","seq":0})"})
    CHECK_FALSE(read_nats_answer(other).has_value());
}

TEST_CASE("header values are percent-encoded as the binding for NATS says") {
  CHECK(nats_header_value("Euro \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "Euro%20%E2%82%AC%20%F0%9F%98%80");
  CHECK(nats_header_value("a\r\nb: \"c\" 5%~") == "a%0D%0Ab:%20%22c%22%205%25~");
}

TEST_CASE("an ordinary event becomes a NATS message with CloudEvents headers") {
  const auto made = nats_made(nats_batch_of("errors", "{\"a\":1}", "application/json; a=b"));
  CHECK(nats_header(made, "Nats-Msg-Id") == "000000000000000b-nbjoxe3h");
  CHECK(nats_header(made, "Nats-Expected-Stream") == "EVENTS");
  CHECK(nats_header(made, "ce-specversion") == "1.0");
  CHECK(nats_header(made, "ce-id") == "000000000000000b-nbjoxe3h");
  CHECK(nats_header(made, "ce-source") == "/penstock/a");
  CHECK(nats_header(made, "ce-type") == "penstock.errors");
  CHECK(nats_header(made, "ce-partitionkey") == "0000000000000abc");
  CHECK(nats_header(made, "ce-datacontenttype") == "application/json;%20a=b");
  CHECK(nats_header(made, "content-type") == "(none)");
  CHECK(std::string_view{natsMsg_GetData(made.message.get()), 7} == "{\"a\":1}");
}

TEST_CASE("a structured CloudEvent keeps its body and says what it is") {
  const std::string body = R"({"id":"7","source":"/s","specversion":"1.0","type":"t"})";
  auto batch = nats_batch_of("errors", body, "application/cloudevents+json",
                             R"({"ce_id":"7","ce_source":"/s"})");
  batch.again = "-2";
  const auto made = nats_made(batch);
  CHECK(nats_header(made, "content-type") == "application/cloudevents+json");
  CHECK(nats_header(made, "Nats-Msg-Id") == "000000000000000b-nbjoxe3h-2");
  CHECK(nats_header(made, "ce-penstockid") == "000000000000000b-nbjoxe3h");
  CHECK(nats_header(made, "ce-partitionkey") == "0000000000000abc");
  CHECK(nats_header(made, "ce-id") == "(none)");
  CHECK(std::string_view{natsMsg_GetData(made.message.get()), body.size()} == body);
}

TEST_CASE("without a server a batch fails at once, and a stopped sink does not try") {
  const auto made =
      make_nats_sink({.url = "nats://u:secret@127.0.0.1:1"}, {.name = "bus", .node_name = "a"});
  REQUIRE(made.has_value());
  const auto lane = (*made)->connect();
  auto outcome = lane->deliver(nats_batch_of("errors", "x", "text/plain"), 5s);
  CHECK(outcome.events == std::vector{settled_as::failed});
  CHECK(outcome.failure == "nats://127.0.0.1:1: can't connect: is the server running, "
                           "and is this its address?");
  outcome = lane->deliver(nats_batch_of("a..b", "x", "text/plain"), 5s);
  CHECK(outcome.events == std::vector{settled_as::refused});
  CHECK(outcome.refusal.find("events.a..b") != std::string::npos);
  (*made)->stop();
  outcome = lane->deliver(nats_batch_of("errors", "x", "text/plain"), 5s);
  CHECK(outcome.failure.ends_with("the node is stopping"));
}

TEST_CASE("a subject that no stream takes is missing; a server without JetStream is the sink's") {
  penstock::test::nats_process server;
  auto login = nats_login{};
  const auto servers = parse_nats_servers(server.url());
  const auto link = connect_to_nats((*servers)[0], login, "test", {2s, 2s});
  REQUIRE(link.has_value());
  jsCtx* made = nullptr;
  REQUIRE(natsConnection_JetStream(&made, link->get(), nullptr) == NATS_OK);
  const nats_ptr<jsCtx> context{made};
  const char* subjects[] = {"events.errors"};
  jsStreamConfig wanted;
  jsStreamConfig_Init(&wanted);
  wanted.Name = "EVENTS";
  wanted.Subjects = subjects;
  wanted.SubjectsLen = 1;
  REQUIRE(js_AddStream(nullptr, context.get(), &wanted, nullptr, nullptr) == NATS_OK);
  for (const char* stream : {"", "EVENTS"}) {
    CAPTURE(stream);
    const auto bus =
        make_nats_sink({.url = server.url(), .stream = stream}, {.name = "bus", .node_name = "a"});
    const auto lane = (*bus)->connect();
    auto out = lane->deliver(nats_batch_of("lost", "x", "text/plain"), 10s);
    CHECK(out.events == std::vector{settled_as::failed});
    CHECK(out.scope == failure_scope::missing);
    CHECK(out.failure.find("events.lost") != std::string::npos);
    out = lane->deliver(nats_batch_of("errors", "x", "text/plain"), 10s);
    CHECK(out.events == std::vector{settled_as::delivered});
    out = lane->deliver(nats_batch_of("a..b", "x", "text/plain"), 10s);
    CHECK(out.is_final);
  }
  // A subject that all streams share is the sink's.
  const auto one = make_nats_sink({.url = server.url(), .subject = "events.lost"},
                                  {.name = "bus", .node_name = "a"});
  CHECK((*one)->connect()->deliver(nats_batch_of("lost", "x", "text/plain"), 10s).scope ==
        failure_scope::sink);
}
