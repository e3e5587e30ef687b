#include "cli/config/memory_plan.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

constexpr std::uint64_t plan_test_mib = 1ull << 20;
constexpr std::uint64_t plan_test_gib = 1ull << 30;

struct planned {
  std::uint64_t total_mib;
  std::uint64_t in_flight_kib;
  std::uint64_t connections;
  std::uint64_t clients;
  std::uint64_t keys;
  std::uint64_t recent_kib;
  std::uint64_t window_kib;
  bool fits;
};

memory_needs everything() {
  memory_needs needs;
  needs.lanes = 4;
  needs.delivery_lanes = 12;
  needs.is_clustered = true;
  return needs;
}

} // namespace

TEST_CASE("what memory gives, from 64 MiB to 1 TiB") {
  memory_needs needs;
  needs.lanes = 2;
  const auto row = GENERATE(values<planned>({
      {64, 2176, 64, 10000, 10000, 1024, 2048, false},
      {96, 2176, 64, 10000, 10000, 1024, 2048, false},
      {128, 11072, 277, 28971, 50700, 3136, 3904, false},
      {192, 29184, 730, 76379, 133664, 8320, 10432, true},
      {256, 47360, 1184, 123787, 216628, 13504, 16896, true},
      {512, 119936, 2999, 313420, 548485, 34240, 42816, true},
      {1024, 262144, 6629, 692685, 1000000, 65536, 94656, true},
      {2048, 262144, 10000, 1451216, 1000000, 65536, 198400, true},
      {4096, 262144, 10000, 2968276, 1000000, 65536, 405760, true},
      {8192, 262144, 10000, 6002398, 1000000, 65536, 820608, true},
      {16384, 262144, 10000, 10000000, 1000000, 65536, 1048576, true},
      {65536, 262144, 10000, 10000000, 1000000, 65536, 1048576, true},
      {1048576, 262144, 10000, 10000000, 1000000, 65536, 1048576, true},
  }));
  const auto plan = plan_memory(row.total_mib * plan_test_mib, needs);
  INFO(row.total_mib << " MiB, in all " << plan.sum_bytes() / plan_test_mib << " MiB");
  CHECK(plan.max_in_flight_bytes / 1024 == row.in_flight_kib);
  CHECK(plan.max_connections == row.connections);
  CHECK(plan.max_clients == row.clients);
  CHECK(plan.max_keys == row.keys);
  CHECK(plan.queue_memory_bytes / 1024 == row.recent_kib);
  CHECK(plan.queue_window_bytes / 1024 == row.window_kib);
  CHECK(plan.fits() == row.fits);
}

TEST_CASE("a plan never exceeds the memory it is for, and no bound that of a large machine") {
  const memory_plan most;
  for (const auto& needs : {memory_needs{}, everything()})
    for (auto mib = least_memory(needs) / plan_test_mib; mib <= 1ull << 20; mib += mib / 7) {
      const auto plan = plan_memory(mib * plan_test_mib, needs);
      INFO(mib << " MiB, in all " << plan.sum_bytes() / plan_test_mib);
      CHECK(plan.fits());
      CHECK(plan.head_room_bytes >= plan.total_bytes / allocator_slack_divisor);
      CHECK(plan.max_in_flight_bytes <= most.max_in_flight_bytes);
      CHECK(plan.max_connections <= most.max_connections);
      CHECK(plan.max_clients <= most.max_clients);
      CHECK(plan.max_keys <= most.max_keys);
      CHECK(plan.queue_memory_bytes <= most.queue_memory_bytes);
      CHECK(plan.delivery_bytes <= most.delivery_bytes);
      CHECK(plan.max_batch_bytes <= most.max_batch_bytes);
      CHECK(plan.queue_window_bytes <= most.queue_window_bytes);
      CHECK(plan.link_unsent_bytes <= most.link_unsent_bytes);
      CHECK(plan.usage_ids <= most.usage_ids);
      CHECK(plan.usage_pending_entries <= most.usage_pending_entries);
      CHECK(plan.usage_sums <= most.usage_sums);
    }
}

TEST_CASE("more memory never gives less of anything") {
  auto before = plan_memory(64 * plan_test_mib, everything());
  for (std::uint64_t mib = 72; mib <= 64 * 1024; mib += 8 + mib / 16) {
    const auto plan = plan_memory(mib * plan_test_mib, everything());
    for (std::size_t i = 0; i < memory_uses; ++i)
      CHECK(plan.bytes[i] >= before.bytes[i]);
    before = plan;
  }
}

TEST_CASE("on a large machine the bounds are those of a plan as made") {
  const memory_plan most;
  const auto plan = plan_memory(64 * plan_test_gib, everything());
  CHECK(plan.max_in_flight_bytes == most.max_in_flight_bytes);
  CHECK(plan.max_connections == most.max_connections);
  CHECK(plan.max_clients == most.max_clients);
  CHECK(plan.max_keys == most.max_keys);
  CHECK(plan.queue_memory_bytes == most.queue_memory_bytes);
  CHECK(plan.max_batch_bytes == most.max_batch_bytes);
  CHECK(plan.usage_ids == most.usage_ids);
  CHECK(plan.usage_pending_entries == most.usage_pending_entries);
  CHECK(plan.usage_sums == most.usage_sums);
}

TEST_CASE("what is set stays as it is set, and counts") {
  memory_needs needs;
  needs.max_in_flight_bytes = 200 * plan_test_mib;
  needs.max_keys = 0;
  const auto plan = plan_memory(256 * plan_test_mib, needs);
  CHECK(plan.max_in_flight_bytes == 200 * plan_test_mib);
  CHECK(plan.max_keys == 0);
  CHECK(plan.of(memory_use::keys) == 0);
  CHECK_FALSE(plan.fits());
  CHECK(least_memory(needs) > 256 * plan_test_mib);
  CHECK(plan_memory(least_memory(needs), needs).fits());
  CHECK_FALSE(plan_memory(least_memory(needs) - 8 * plan_test_mib, needs).fits());
}

TEST_CASE("what a node does not have gets no share") {
  const auto alone = plan_memory(512 * plan_test_mib, {});
  const auto all = plan_memory(512 * plan_test_mib, everything());
  for (const auto use : {memory_use::delivery, memory_use::batches, memory_use::links}) {
    CHECK(alone.of(use) == 0);
    CHECK(all.of(use) > 0);
  }
  CHECK(alone.max_connections > all.max_connections);
}

TEST_CASE("each lane can take a body of the largest size, however many lanes there are") {
  memory_needs needs;
  needs.lanes = 64;
  needs.max_body_bytes = plan_test_mib;
  CHECK(plan_memory(256 * plan_test_mib, needs).max_in_flight_bytes / needs.lanes >=
        needs.max_body_bytes);
}

TEST_CASE("sinks whose batches are set count as set") {
  memory_needs needs;
  needs.set_batches_bytes = 8 * plan_test_mib;
  const auto plan = plan_memory(plan_test_gib, needs);
  CHECK(plan.of(memory_use::batches) == copies_per_batch * 8 * plan_test_mib);
  CHECK(plan.of(memory_use::delivery) > 0);
}
