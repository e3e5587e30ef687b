// How a report over the cluster comes together, and what it does about nodes that say nothing.
#include "tests/unit/actors/usage/usage_cluster.hpp"

#include <algorithm>

using namespace penstock;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

std::string gathered_origin(char digit) {
  return std::string(usage_origin_size, digit);
}

usage_source source_at(char digit, bool is_copy, std::int64_t known_ms, std::uint64_t names = 1) {
  const std::string node(1, digit);
  return {{gathered_origin(digit), node, "h:" + node, known_ms, {}}, is_copy, names};
}

usage_query gathered_query(std::uint32_t top = 3) {
  usage_query query{.by = usage_dimension::stream, .per = usage_period::hour};
  query.from_s = 3600;
  query.to_s = 7200;
  query.top = top;
  return query;
}

// A usage actor and reader that answer nothing, or not for long.
caf::behavior deaf(caf::event_based_actor* self, bool says_sources, usage_sources sources,
                   std::shared_ptr<int> parts) {
  self->set_default_handler(caf::skip);
  if (!says_sources) return {[](const peer_up&) {}};
  return {[sources](const usage_sources_question&) { return sources; },
          [parts](const usage_part_question&) -> caf::result<usage_part> {
            ++*parts;
            return usage_part{false, false, "the disk is broken", {}};
          }};
}

class gatherer_fixture : public usage_cluster {
 public:
  // A peer that is a double.
  caf::actor double_of(std::uint16_t member, bool says_sources, usage_sources sources = {}) {
    const auto made = system.spawn(deaf, says_sources, std::move(sources), asked_parts);
    peer_up up{.member = member};
    up.usage = stand_in(made);
    up.usage_reader = stand_in(made);
    caf::anon_send(plain_actor(nodes[1].gatherer), up);
    run();
    doubles.push_back(made);
    return made;
  }
  ~gatherer_fixture() {
    for (const auto& one : doubles)
      caf::anon_send_exit(one, caf::exit_reason::kill);
    run();
  }
  usage_query_ptr query() const {
    auto wanted = gathered_query();
    wanted.from_s = usage_start_ms / 1000 - 1;
    wanted.to_s = usage_start_ms / 1000 + 3600;
    return std::make_shared<const usage_query>(wanted);
  }
  template <class Pending>
  usage_answer receive(Pending& pending) {
    usage_answer answer;
    pending.receive([&](usage_answer_ptr& got) { answer = *got; },
                    [](const caf::error&) { FAIL("no answer"); });
    return answer;
  }

  std::shared_ptr<int> asked_parts = std::make_shared<int>(0);
  std::vector<caf::actor> doubles;
};

} // namespace

TEST_CASE("of each origin one source is asked: the node, or the copy that knows most", "[usage]") {
  usage_gathering report{gathered_query(), {"h:a", "h:b", "h:c", "h:d", "h:e"}};
  report.add_sources(1, {{source_at('a', false, 90), source_at('b', true, 50),
                          source_at('c', true, 70), source_at('e', true, 0)}});
  report.add_sources(2, {{source_at('b', false, 80),
                          source_at('a', true, 95),
                          source_at('c', true, 71),
                          {{"no origin", {}, {}, 1, {}}, false, 1}}});
  report.choose();
  const auto questions = report.next_part();
  REQUIRE(questions.size() == 2);
  CHECK(questions.at(1).origins ==
        std::vector<std::string>{gathered_origin('a'), gathered_origin('e')});
  CHECK(questions.at(2).origins ==
        std::vector<std::string>{gathered_origin('b'), gathered_origin('c')});
  CHECK(questions.at(1).parts == 1);
  report.add_rows({{"x", 0, {1, 1, 1, 1}}, {"z", 0, {5, 5, 5, 5}}});
  report.add_rows({{"x", 0, {2, 2, 2, 2}}, {"y", 0, {3, 3, 3, 3}}, {"w", 0, {3, 0, 0, 0}}});
  CHECK(report.next_part().empty());
  const auto whole = report.report();
  CHECK(whole.total == usage_counts{14, 11, 11, 11});
  CHECK(whole.ids == 4);
  REQUIRE(whole.rows.size() == 3);
  CHECK(whole.rows[0].id == "z");
  CHECK(whole.rows[1].id == "w"); // of equal ones the first by name
  CHECK(whole.rows[2].id == "x");
  const auto coverage = report.coverage();
  REQUIRE(coverage.nodes.size() == 4);
  CHECK_FALSE(coverage.nodes[0].is_copy);
  CHECK(coverage.nodes[2].is_copy);
  CHECK(coverage.nodes[2].known_ms == 71);
  CHECK(coverage.missing == std::vector<std::string>{"h:d", "h:e"}); // of e not all is known
}

TEST_CASE("a report over many ids is made in parts, and they in bounds", "[usage]") {
  usage_gathering report{gathered_query(2), {}};
  report.add_sources(1, {{source_at('a', false, 1, 2 * usage_ids_a_part),
                          source_at('b', true, 1, usage_ids_a_part / 2)},
                         usage_ids_a_part / 2});
  report.choose();
  std::uint64_t total = 0;
  for (std::uint32_t part = 0; part < 3; ++part) {
    const auto questions = report.next_part();
    REQUIRE(questions.size() == 1);
    CHECK(questions.at(1).part == part);
    CHECK(questions.at(1).parts == 3);
    const auto n = 10u * (part + 1);
    report.add_rows({{"id-" + std::to_string(part), 0, {n, 0, 0, 0}},
                     {"-" + std::to_string(part), 0, {1, 0, 0, 0}}});
    total += n + 1;
  }
  CHECK(report.next_part().empty());
  CHECK(report.report().total.requests == total);
  CHECK(report.report().ids == 6);
  CHECK(report.report().rows[0].id == "id-2");
  CHECK(report.report().rows[1].id == "id-1");

  usage_gathering vast{gathered_query(), {}};
  usage_sources many;
  for (std::size_t i = 0; i < max_usage_sources + 5; ++i) {
    many.all.push_back(source_at('0', false, 1, UINT64_MAX));
    auto digits = std::to_string(i);
    many.all.back().about.origin.replace(0, digits.size(), digits);
    many.all.back().about.origin[5] = 'f';
  }
  vast.add_sources(1, many);
  vast.choose();
  const auto questions = vast.next_part();
  CHECK(questions.at(1).parts == max_usage_parts);
  CHECK(questions.at(1).origins.size() <= max_usage_sources);
}

TEST_CASE("ids that the copies of a node share are counted once", "[usage]") {
  const auto parts_of = [](std::uint64_t copy_names) {
    usage_gathering report{gathered_query(), {}};
    report.add_sources(1, {{source_at('a', false, 1, usage_ids_a_part)}});
    usage_sources copies{.copy_names = copy_names};
    for (const char digit : {'b', 'c', 'd'})
      copies.all.push_back(source_at(digit, true, 1, usage_ids_a_part));
    report.add_sources(2, copies);
    report.choose();
    return report.next_part().at(1).parts;
  };
  CHECK(parts_of(usage_ids_a_part) == 2);
  CHECK(parts_of(2 * usage_ids_a_part) == 3);
  CHECK(parts_of(UINT64_MAX) == 4); // no more than each has
}

TEST_CASE_METHOD(gatherer_fixture, "a node that does not say is not waited for", "[usage]") {
  members = {address_of(1), address_of(2)};
  start(1);
  count(1, "x", 5);
  double_of(2, false);
  auto pending = self->request(nodes[1].gatherer, caf::infinite, query());
  run();
  pass(usage_sources_timeout, 500ms);
  const auto answer = receive(pending);
  REQUIRE(answer.ok);
  CHECK(answer.report.total.requests == 5);
  CHECK(answer.coverage->missing == std::vector<std::string>{address_of(2)});
}

TEST_CASE_METHOD(gatherer_fixture, "nodes that go one after the other end a report", "[usage]") {
  start(1);
  count(1, "x", 5);
  for (std::uint16_t member = 2; member < 2 + max_usage_rounds; ++member) {
    const char digit = static_cast<char>('0' + member);
    // Each knows more of one origin than the next, and all can't read it.
    auto source = source_at('c', true, 100 - member);
    source.about.node = digit;
    double_of(member, true, {{source}});
  }
  auto pending = self->request(nodes[1].gatherer, caf::infinite, query());
  run();
  const auto answer = receive(pending);
  CHECK_FALSE(answer.ok);
  CHECK(answer.why.code == errc::unavailable);
  CHECK_THAT(answer.why.message, Contains("scope=node"));
  CHECK(*asked_parts == max_usage_rounds);
}

TEST_CASE_METHOD(gatherer_fixture, "a node that can't read a part is left out, once", "[usage]") {
  start(1);
  count(1, "x", 5);
  double_of(2, true, {{source_at('c', true, 50)}});
  auto pending = self->request(nodes[1].gatherer, caf::infinite, query());
  run();
  const auto answer = receive(pending);
  REQUIRE(answer.ok);
  CHECK(answer.report.total.requests == 5);
  CHECK(answer.coverage->nodes.size() == 1);
}

TEST_CASE_METHOD(gatherer_fixture, "so many reports wait, no more", "[usage]") {
  start(1);
  double_of(2, false); // keeps the first waiting
  std::vector<decltype(self->request(nodes[1].gatherer, caf::infinite, query()))> all;
  for (std::size_t i = 0; i < max_waiting_usage_reports + 2; ++i)
    all.push_back(self->request(nodes[1].gatherer, caf::infinite, query()));
  run();
  const auto refused = receive(all.back());
  CHECK(refused.why.code == errc::unavailable);
  for (std::size_t i = 0; i <= max_waiting_usage_reports; ++i) {
    pass(usage_sources_timeout, 1s);
    CHECK(receive(all[i]).ok);
  }
}
