// What a front end serves: why the journal takes nothing, which streams are full, when to answer.
#include "net/ingest/served_rules.hpp"

#include <catch2/catch.hpp>

#include <memory>

using namespace penstock;

namespace {

served_rules rules_for(const publishers_by_sink& publishers) {
  stream_settings spare;
  spare.expendable = true;
  ingest_rules all;
  all.streams = {{"default", {}}, {"spare", spare}};
  return {std::make_shared<const ingest_rules>(all), std::make_shared<const access_table>(),
          std::make_shared<const plan_set>(std::vector<plan>{plan{"anonymous", {}}},
                                           std::vector<plan_record>{}),
          std::make_shared<stream_names>(), publishers};
}

} // namespace

TEST_CASE("served rules: the journal's state refuses, the worst first") {
  const publishers_by_sink none;
  const auto rules = rules_for(none);
  node_state node;
  CHECK_FALSE(rules.journal_refusal(node, "default"));
  node.journal_scarce = true;
  CHECK_FALSE(rules.journal_refusal(node, "default"));
  CHECK(rules.journal_refusal(node, "spare") == shed_reason::expendable);
  node.journal_failed = true;
  CHECK(rules.journal_refusal(node, "spare") == shed_reason::journal_error);
  node.journal_full = true;
  CHECK(rules.journal_refusal(node, "spare") == shed_reason::journal_full);
  node.disk_full = true;
  CHECK(rules.journal_refusal(node, "default") == shed_reason::disk_full);
}

TEST_CASE("served rules: a key is answered once its events are on the disk") {
  const publishers_by_sink none;
  auto rules = rules_for(none);
  stream_settings quick;
  quick.ack = ack_level::received;
  stream_settings published;
  published.ack = ack_level::published;
  published.sinks = {"queue"};
  ingest_rules all;
  all.streams = {{"default", {}}, {"quick", quick}, {"published", published}};
  rules.set_rules(std::make_shared<const ingest_rules>(all));
  CHECK(rules.ack_of("quick", false) == ack_level::received);
  CHECK(rules.ack_of("quick", true) == ack_level::journaled);
  // An embedded queue has what is durable.
  CHECK(rules.ack_of("published", false) == ack_level::journaled);
}

TEST_CASE("served rules: streams that hold as much as they may are refused, and no others") {
  const publishers_by_sink none;
  auto rules = rules_for(none);
  CHECK_FALSE(rules.stream_is_full("spare"));
  refused_streams which;
  which.names = {"spare"};
  rules.set_refused_streams(std::make_shared<const refused_streams>(which));
  CHECK(rules.stream_is_full("spare")->status == 507);
  CHECK_FALSE(rules.stream_is_full("default"));
  CHECK_FALSE(rules.stream_is_full("other"));
  which.unconfigured = true;
  rules.set_refused_streams(std::make_shared<const refused_streams>(which));
  CHECK(rules.stream_is_full("other")->status == 507);
  CHECK_FALSE(rules.stream_is_full("default"));
  rules.set_refused_streams(nullptr);
  CHECK_FALSE(rules.stream_is_full("spare"));
}
