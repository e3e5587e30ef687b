// Requests whose keys were claimed: found while they are under way, parked while they wait.
#include "net/ingest/claim_table.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <utility>

using namespace penstock;

namespace {

std::unique_ptr<turn_batch> batch_with_claims(std::uint64_t token, std::uint32_t open) {
  auto batch = std::make_unique<turn_batch>();
  batch->claim_token = token;
  batch->requests.emplace_back().details = 0;
  batch->details.emplace_back().claims = std::make_unique<request_claims>();
  claims_of(*batch).open = open;
  return batch;
}

} // namespace

TEST_CASE("claim table: a batch that travels is still found") {
  claim_table table;
  CHECK(table.empty());
  table.add(batch_with_claims(7, 0));
  CHECK(table.contains(7));
  auto travelling = table.take(7);
  REQUIRE(travelling);
  CHECK(table.find(7) == travelling.get());
  table.park(std::move(travelling));
  CHECK(table.find(7) != nullptr);
  table.erase(7);
  CHECK(table.find(7) == nullptr);
  CHECK(table.empty());
}

TEST_CASE("claim table: requests by what their claims are like") {
  claim_table table;
  table.add(batch_with_claims(1, 0));
  table.add(batch_with_claims(2, 5));
  const auto waiting =
      table.tokens_if([](const request_claims& claims) { return claims.open > 0; });
  CHECK(waiting == std::vector<std::uint64_t>{2});
}
