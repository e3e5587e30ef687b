// What a link lets pass to CAF's broker, byte by byte as BASP writes it.
#include "net/links/link_guard.hpp"

#include "actors/base/lifecycle_messages.hpp"
#include "actors/delivery/delivery_messages.hpp"
#include "actors/directory/directory_messages.hpp"
#include "actors/idempotency/claim_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/limiter/limiter_messages.hpp"
#include "actors/system_config.hpp"
#include "actors/usage/usage_messages.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <type_traits>

namespace penstock::link_guard_test {

namespace {

enum operation : char { server_hello, client_hello, direct, routed, monitor, down, heartbeat };

std::string number(std::uint64_t value, int size) {
  std::string out;
  for (int i = size - 1; i >= 0; --i)
    out += static_cast<char>(value >> 8 * i);
  return out;
}

std::string header(operation what, std::uint64_t payload_bytes, char flags = 0) {
  return std::string{what} + number(0, 2) + flags + number(payload_bytes, 4) + number(0, 8) +
         number(1, 8) + number(2, 8);
}

std::string text(const std::string& value) {
  REQUIRE(value.size() < 0x80);
  return static_cast<char>(value.size()) + value;
}

/// A direct message's payload: passed on for nobody, the number of no type, names, values.
std::string message(const std::string& types, const std::string& values = "") {
  return number(0, 3) + text("@<>" + types) + values;
}

std::string error_with(const std::string& types, const std::string& values = "") {
  return message("+@error",
                 number(3, 1) + number(1, 8) + number(0, 2) + text("@<>" + types) + values);
}

/// A guard of a connection that has come as far as messages.
link_guard greeted() {
  link_guard guard{1'000'000};
  REQUIRE(guard.admits(header(client_hello, 5)));
  REQUIRE(guard.admits("hello"));
  return guard;
}

bool admits(operation what, const std::string& payload) {
  auto guard = greeted();
  return guard.admits(header(what, payload.size())) && (payload.empty() || guard.admits(payload));
}

} // namespace

TEST_CASE(
    "link_guard: a handshake comes first, is the same if it is said again, and has a payload") {
  for (const auto hello : {server_hello, client_hello}) {
    CHECK(link_guard{1000}.admits(header(hello, 1)));
    CHECK(link_guard{1000}.admits(header(hello, max_link_control_bytes)));
    CHECK_FALSE(link_guard{1000}.admits(header(hello, 0))); // CAF 0.17 would read what is not there
    CHECK_FALSE(link_guard{1000}.admits(header(hello, max_link_control_bytes + 1)));
    CHECK_FALSE(link_guard{1000}.admits(header(hello, 0xffffffff)));
    CHECK(admits(hello, "hello"));
    CHECK_FALSE(admits(hello, "other"));
  }
  for (const auto early : {direct, monitor, down})
    CHECK_FALSE(link_guard{1000}.admits(header(early, 10)));
  CHECK_FALSE(link_guard{1000}.admits(header(heartbeat, 0)));
  CHECK_FALSE(link_guard{1000}.admits("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
}

TEST_CASE("link_guard: what CAF says to CAF") {
  CHECK(admits(heartbeat, ""));
  CHECK_FALSE(admits(heartbeat, "x"));
  for (const auto what : {monitor, down}) {
    CHECK(admits(what, "nodes"));
    CHECK_FALSE(admits(what, ""));
    CHECK_FALSE(admits(what, std::string(max_link_control_bytes + 1, 'x')));
  }
  CHECK_FALSE(admits(routed, "for another node"));
  CHECK_FALSE(admits(routed, message("+penstock::hello"))); // who sent it is not told
  CHECK_FALSE(admits(static_cast<operation>(7), "no operation"));
  CHECK_FALSE(admits(static_cast<operation>(-1), "no operation"));
  CHECK(admits(down, number(1, 8) + text("@<>+@str") + "why"));
  CHECK_FALSE(admits(down, number(1, 8) + text("@<>+@charbuf") + "\xff\xff\xff\xff\x0f"));
}

TEST_CASE("link_guard: messages that nodes say to each other, and no others") {
  CHECK(admits(direct, message("")));
  CHECK(admits(direct, message("+penstock::hello")));
  CHECK(admits(direct, message("+penstock::replica_batch", "rows")));
  CHECK(admits(direct, message("+@atom+@atom+@str")));
  // Of a node's own actors to each other.
  for (const auto* own : {"drain", "append_batch_ptr", "put_plan", "create_key", "peer_up", "hell",
                          "helloo", "", "verdict"})
    CHECK_FALSE(admits(direct, message("+penstock::" + std::string{own})));
  for (const auto* other : {"+@exit", "+@down", "+@charbuf", "+@message", "+@u32_str", "+@strvec",
                            "+@config_value", "+", "@str", "+@str+", "+@str+@charbuf", "x"}) {
    INFO(other);
    CHECK_FALSE(admits(direct, message(other)));
  }
  // Passed on for somebody, a type by its number, names that do not end.
  CHECK_FALSE(admits(direct, number(1, 1) + message("")));
  CHECK_FALSE(admits(direct, number(0, 1) + number(5, 2) + text("@<>")));
  CHECK_FALSE(admits(direct, number(0, 3) + "\x7f@<>"));
  CHECK_FALSE(admits(direct, number(0, 3) + "\xff\xff\xff\xff\xff\xff\xff"));
  CHECK_FALSE(admits(direct, "abc"));
  CHECK_FALSE(admits(direct, ""));
}

namespace {

using message_names = std::set<std::string>;

// A message that only goes within a node can't be written.
template <class T>
void add_message(message_names& to) {
  if constexpr (!std::is_void_v<T> && !caf::is_allowed_unsafe_message_type<T>::value)
    to.insert(caf::type_name<T>::value);
}

template <class>
struct messages_of;
template <class... In, class... Out>
struct messages_of<caf::typed_mpi<caf::detail::type_list<In...>, caf::output_tuple<Out...>>> {
  static void add(message_names& to) {
    (add_message<In>(to), ...);
    (add_message<Out>(to), ...);
  }
};
template <class... Each>
struct messages_of<caf::typed_actor<Each...>> {
  static void add(message_names& to) { (messages_of<Each>::add(to), ...); }
};

/// Of all actors that a peer has a handle of: the gate, those that `peer_up` names, and those that
/// ask them and are answered.
template <class... Handles>
message_names messages_to() {
  message_names out;
  (messages_of<Handles>::add(out), ...);
  return out;
}

} // namespace

TEST_CASE("link_guard: each message that an actor takes from a peer may come, and no other") {
  auto said =
      messages_to<handshake_acceptor_handle, limiter_handle, front_end_handle, idempotency_handle,
                  accounts_handle, membership_handle, replica_handle, replicator_handle,
                  usage_handle, usage_reader_handle, usage_gatherer_handle>();
  // A front end asks the limiters of its own node alone.
  for (const auto* within : {"penstock::admit_request", "penstock::admit_reply"})
    CHECK(said.erase(within) == 1);
  CHECK(said.size() > 30);
  for (const auto& name : said) {
    INFO(name);
    CHECK(admits(direct, message("+" + name)));
  }
  for (const auto& [name, factory] : system_config{1}.value_factories_by_name) {
    INFO(name);
    if (name.starts_with("penstock::") && admits(direct, message("+" + name)))
      CHECK(said.contains(name));
  }
}

TEST_CASE("link_guard: what a node passes on for another one") {
  const auto node = [](char which) { return "a  form " + number(7, 4) + std::string(20, which); };
  const auto passes = [&](const std::string& payload) {
    link_guard guard{1'000'000};
    REQUIRE(guard.admits(header(client_hello, node('a').size())));
    REQUIRE(guard.admits(node('a')));
    return guard.admits(header(routed, payload.size())) && guard.admits(payload);
  };
  const auto request = message("+penstock::forward_request", "events");
  CHECK(passes(node('b') + node('c') + request));
  CHECK_FALSE(passes(node('b') + node('c') + message("+penstock::drain")));
  CHECK_FALSE(passes(node('b') + node('c')));
  CHECK_FALSE(passes(node('b') + request));
  CHECK_FALSE(passes(request));
  CHECK_FALSE(passes(std::string(32, '\1') + node('c') + request));
}

TEST_CASE("link_guard: CAF's own actors have names, and get what is plain") {
  const auto admits_named = [](const std::string& types) {
    auto guard = greeted();
    const auto payload = message(types);
    return guard.admits(header(direct, payload.size(), 1)) && guard.admits(payload);
  };
  CHECK(admits_named("+@atom+@atom+@str"));
  CHECK_FALSE(admits_named("+penstock::hello"));
  CHECK_FALSE(admits_named("+@atom+@str+@message"));
  for (const auto* floating : {"+double", "+float", "+@ldouble"}) // CAF writes infinity for ever
    CHECK_FALSE(admits_named(floating));
}

TEST_CASE("link_guard: messages within errors are of plain types") {
  CHECK(admits(direct, error_with("+@str", text("why"))));
  CHECK(admits(direct, error_with("")));
  for (const auto* inner :
       {"+@charbuf", "+@error", "+@message", "+penstock::hello", "+@str+@charbuf"})
    CHECK_FALSE(admits(direct, error_with(inner)));
  CHECK_FALSE(admits(direct, error_with("+@str", std::string(max_link_control_bytes, 'x'))));
  // A text of 1032 characters, of which the last byte of the length, 8, would end at a good name.
  auto hidden = message("+@error", number(3, 1) + number(1, 8) + number(0, 2));
  hidden += "\x88\x08@<>+@str+@charbuf" + std::string(1'016, 'x');
  CHECK_FALSE(admits(direct, hidden));
}

TEST_CASE("link_guard: a message is bounded, and as long as its header says") {
  auto guard = greeted();
  CHECK(guard.admits(header(direct, 1'000'000)));
  CHECK_FALSE(greeted().admits(header(direct, 1'000'001)));
  CHECK_FALSE(guard.admits(message("")));
}

} // namespace penstock::link_guard_test
