#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/handshake_acceptor.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/peer_connector.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

class handshake_fixture : public actor_fixture {
 public:
  handshake_fixture() {
    someone = system.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](drain) {}}; });
    welcome here;
    here.limiters = {someone};
    here.accounts = someone;
    door = plain_actor(system.spawn(handshake_acceptor, "dev",
                                    std::vector<std::string>{"a:1", "b:2"}, here, metrics));
    any_door = plain_actor(system.spawn(handshake_acceptor, "dev", std::vector<std::string>{}, here,
                                        std::make_shared<handshake_metrics>()));
  }
  ~handshake_fixture() {
    caf::anon_send(door, drain{});
    caf::anon_send(any_door, drain{});
  }

  // The refusal, or 0 when welcomed.
  int knock(const hello& greeting) { return knock(door, greeting); }
  int knock(const caf::actor& at, const hello& greeting) {
    int code = -1;
    auto pending = self->request(at, caf::infinite, greeting);
    run();
    pending.receive(
        [&](const welcome& answer) {
          CHECK(answer.version == wire_version);
          CHECK(answer.limiters == std::vector<caf::actor>{someone});
          CHECK(answer.accounts == someone);
          code = 0;
        },
        [&](const caf::error& why) {
          CHECK(why.category() == handshake_category);
          CHECK_FALSE(why.context().empty());
          code = why.code();
        });
    return code;
  }

  std::shared_ptr<handshake_metrics> metrics = std::make_shared<handshake_metrics>();
  caf::actor someone;
  caf::actor door, any_door;
};

} // namespace

TEST_CASE_METHOD(handshake_fixture, "a gate welcomes members of its cluster only", "[gate]") {
  const auto code = [](handshake_refusal why) { return static_cast<int>(why); };
  const auto v = wire_version, oldest = oldest_wire_version;
  CHECK(knock({v, oldest, "dev", "b:2"}) == 0);
  CHECK(knock({v + 1, v, "dev", "b:2"}) == 0); // a later one that still speaks ours
  CHECK(knock({v + 2, v + 1, "dev", "b:2"}) == code(handshake_refusal::version));
  CHECK(knock({oldest - 1, oldest - 2, "dev", "b:2"}) == code(handshake_refusal::version));
  CHECK(knock({v, oldest, "prod", "b:2"}) == code(handshake_refusal::cluster));
  CHECK(knock({v, oldest, "dev", "localhost:2"}) == code(handshake_refusal::address));
  CHECK(knock(any_door, {v, oldest, "dev", "localhost:2"}) == 0);
  CHECK(knock(any_door, {v, oldest, "prod", "localhost:2"}) == code(handshake_refusal::cluster));
  CHECK(metrics->version.value() == 2);
  CHECK(metrics->cluster.value() == 1);
  CHECK(metrics->address.value() == 1);
}

TEST_CASE_METHOD(handshake_fixture, "a gate speaks no later version than it is to",
                 "[gate][wire]") {
  welcome here;
  here.limiters = {someone};
  here.replicas = someone;
  here.version = 4;
  const auto held_back = plain_actor(
      system.spawn(handshake_acceptor, "dev", std::vector<std::string>{}, here, metrics));
  auto pending = self->request(held_back, caf::infinite, hello{5, 4, "dev", "b:2"});
  run();
  pending.receive([&](const welcome& answer) { CHECK(answer.version == 4); },
                  [](const caf::error&) { FAIL("refused"); });
  CHECK(knock(held_back, {5, 5, "dev", "b:2"}) == static_cast<int>(handshake_refusal::version));
  caf::anon_send(held_back, drain{});
}

TEST_CASE("peer addresses are host and port", "[gate]") {
  CHECK(parse_peer_address("127.0.0.1:4200")->host == "127.0.0.1");
  CHECK(parse_peer_address("127.0.0.1:4200")->port == 4200);
  CHECK(parse_peer_address("[::1]:1")->host == "::1");
  CHECK(parse_peer_address("node-a.example:65535")->port == 65535);
  for (const char* text :
       {"", ":", "host", "host:", ":80", "host:65536", "host:8a", "[]:1", "host:-1", "host: 1"}) {
    INFO('"' << text << '"');
    REQUIRE(parse_peer_address(text).has_error());
    CHECK(parse_peer_address(text).error().code == errc::config);
  }
}

TEST_CASE_METHOD(handshake_fixture, "a gate names whom it welcomes to the links", "[gate]") {
  std::vector<std::string> named;
  const auto links = system.spawn([&named](caf::event_based_actor*) -> caf::behavior {
    return {[&named](caf::connect_atom, const std::string& address) { named.push_back(address); }};
  });
  CHECK(knock({wire_version, oldest_wire_version, "dev", "a:1"}) == 0); // nobody is told
  caf::anon_send(door, links_known{stand_in(links)});
  CHECK(knock({wire_version, oldest_wire_version, "dev", "b:2"}) == 0);
  CHECK(knock({wire_version, oldest_wire_version, "prod", "a:1"}) != 0);
  run();
  CHECK(named == std::vector<std::string>{"b:2"});
}
