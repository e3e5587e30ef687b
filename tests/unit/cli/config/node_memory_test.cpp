#include "actors/delivery/lane_feed.hpp"
#include "cli/config/node_memory.hpp"
#include "config_support.hpp"

#include <catch2/catch.hpp>

using namespace penstock;
using namespace penstock::test;

namespace {

constexpr std::uint64_t node_memory_mib = 1ull << 20;
constexpr memory_limit small_group{256 * node_memory_mib, memory_limit::origin::cgroup};

config settled(std::vector<std::string> sets, const memory_limit& here = small_group) {
  config_sources sources;
  sources.sets = std::move(sets);
  auto loaded = load_config(sources);
  REQUIRE(loaded.has_value());
  settle_memory(*loaded, here, 2);
  return std::move(*loaded);
}

} // namespace

TEST_CASE("bounds that are not set follow from the memory") {
  const auto c = settled({});
  CHECK(c.memory.total_bytes == 256 * node_memory_mib);
  CHECK(c.http.max_in_flight_bytes == c.memory.max_in_flight_bytes);
  CHECK(c.http.max_in_flight_bytes < 64 * node_memory_mib);
  CHECK(c.http.max_connections == c.memory.max_connections);
  CHECK(c.limiter.max_clients == c.memory.max_clients);
  CHECK(c.idempotency.max_keys == c.memory.max_keys);
  CHECK(c.queue.memory_bytes == c.memory.queue_memory_bytes);
  CHECK(c.memory.fits());
  CHECK(memory_warnings(c, small_group, 2).empty());
}

TEST_CASE("node.memory counts more than the cgroup, and what is set more than either") {
  const auto c =
      settled({"node.memory=512MiB", "http.max_in_flight=100MiB", "limiter.max_clients=7",
               "idempotency.max_keys=0", "http.max_connections=9", "queue.memory=1MiB"});
  CHECK(c.memory.total_bytes == 512 * node_memory_mib);
  CHECK(c.http.max_in_flight_bytes == 100 * node_memory_mib);
  CHECK(c.limiter.max_clients == 7);
  CHECK(c.idempotency.max_keys == 0);
  CHECK(c.http.max_connections == 9);
  CHECK(c.queue.memory_bytes == node_memory_mib);
  CHECK(memory_source(c, small_group) == "node.memory");
  const auto told = memory_warnings(c, small_group, 2);
  REQUIRE(told.size() == 1);
  CHECK(told[0].find("node.memory is 512.0 MiB, more than the 256.0 MiB that the cgroup has") !=
        std::string::npos);
}

TEST_CASE("a bound set to what is its default is set") {
  CHECK(settled({"http.max_in_flight=256MiB"}).http.max_in_flight_bytes == 256 * node_memory_mib);
}

TEST_CASE("what is set and does not fit is told by name, with what would do") {
  const auto told = memory_warnings(settled({"queue.memory=300MiB", "http.max_in_flight=200MiB"}),
                                    small_group, 2);
  REQUIRE(told.size() == 1);
  CHECK(
      told[0].find("more than its 256.0 MiB of memory, counting what is set "
                   "(http.max_in_flight, queue.memory); lower what is set, or give it at least ") !=
      std::string::npos);
}

TEST_CASE("a node that is too small says what it needs") {
  const memory_limit tiny{64 * node_memory_mib, memory_limit::origin::cgroup};
  const auto told = memory_warnings(settled({}, tiny), tiny, 2);
  REQUIRE(told.size() == 1);
  CHECK(told[0].find("of memory; it needs at least ") != std::string::npos);
}

TEST_CASE("node.memory below what a node can start with is an error") {
  config_sources sources;
  sources.sets = {"node.memory=32MiB"};
  const auto loaded = load_config(sources);
  REQUIRE(loaded.has_error());
  CHECK(loaded.error().message.find("0B, or a size from 64MiB to 1024TiB") != std::string::npos);
  sources.sets = {"node.memory=0B"};
  CHECK(load_config(sources).has_value());
}

TEST_CASE("sinks' batches shrink with the memory, unless their size is set") {
  const auto c =
      settled({"sinks.far.kind=http", "sinks.far.url=http://127.0.0.1:1/", "sinks.near.kind=http",
               "sinks.near.url=http://127.0.0.1:1/", "sinks.near.batch_bytes=2MiB"});
  sink_traits traits;
  traits.batch_bytes = 5 * node_memory_mib;
  CHECK(rules_for(c.sinks.at("far").delivery, traits, c.memory.max_batch_bytes).max_bytes ==
        c.memory.max_batch_bytes);
  CHECK(rules_for(c.sinks.at("near").delivery, traits, c.memory.max_batch_bytes).max_bytes ==
        2 * node_memory_mib);
  CHECK(c.memory.of(memory_use::batches) >= copies_per_batch * 4 * 2 * node_memory_mib);
}

TEST_CASE("the plan in one line") {
  const auto text = memory_text(settled({}), small_group);
  CHECK(text.starts_with("256.0 MiB of the cgroup: "));
  CHECK(text.find('\n') == std::string::npos);
  CHECK(text.find(" of head-room") != std::string::npos);
}
