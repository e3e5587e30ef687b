// Names of types that are on the wire: CAF writes that of each message, and of nothing within.
#include "actors/limiter/peer_messages.hpp"
#include "tests/unit/actors/fixture.hpp"

#include <caf/binary_serializer.hpp>
#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace penstock;

namespace {

class named_messages : public actor_fixture {
 public:
  template <class T>
  std::string as_sent(const T& what) {
    std::vector<char> bytes;
    caf::binary_serializer sink{system, bytes};
    REQUIRE_FALSE(sink(caf::make_message(what)));
    return {bytes.begin(), bytes.end()};
  }
  template <class T>
  bool has_name(std::string_view name) {
    return as_sent(T{}).find("penstock::" + std::string{name}) != std::string::npos;
  }
};

} // namespace

TEST_CASE_METHOD(named_messages, "limiters: messages to peers are named as they always were",
                 "[messages]") {
  CHECK(has_name<owner_request>("owner_request"));
  CHECK(has_name<owner_reply>("owner_reply"));
  CHECK(has_name<leases_returned>("leases_returned"));
  CHECK(has_name<returns_taken>("returns_taken"));
  CHECK(has_name<shard_rows>("shard_rows"));
  CHECK(has_name<shard_taken>("shard_taken"));
  CHECK(has_name<backup_rows>("backup_rows"));
  CHECK(has_name<backup_taken>("backup_taken"));
  CHECK(has_name<limits_query>("limits_query"));
  CHECK(has_name<limits_reply>("limits_reply"));
}

TEST_CASE_METHOD(named_messages, "limiters: what lies within a message has no name on the wire",
                 "[messages]") {
  owner_request request;
  request.version = settlements_wire_version;
  request.items.resize(1);
  request.requested_units = {1};
  request.settlements.resize(1);
  const std::string sent = as_sent(request);
  CHECK(sent.find("admit_item") == std::string::npos);
  CHECK(sent.find("lease_settlement") == std::string::npos);
}
