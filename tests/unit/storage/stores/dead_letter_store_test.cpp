#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/dead_letter_store.hpp"
#include "storage/stores/replay_store.hpp"

#include "tests/unit/storage/support.hpp"

#include <sys/wait.h>
#include <unistd.h>

using namespace penstock;
using namespace penstock::test;

namespace {

constexpr const char* letter_tag = "abcdefgh";

std::unique_ptr<dead_letter_store> letters_in(const std::filesystem::path& dir,
                                              std::uint64_t max_bytes = 1u << 20) {
  auto opened = dead_letter_store::open(dir, max_bytes);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

dead_letter some_letter(std::uint64_t seq, const std::string& sink = "next",
                        const std::string& stream = "default") {
  dead_letter letter;
  letter.sink = sink;
  letter.stream = stream;
  letter.tag = letter_tag;
  letter.seq = seq;
  letter.time_ms = some_time_ms + static_cast<std::int64_t>(seq);
  letter.client = ~seq;
  letter.content_type = "application/json";
  letter.attributes = R"({"ce_id":"x"})";
  letter.body = std::string{"\0body ", 6} + std::to_string(seq);
  letter.reason = "400: no";
  letter.tries = 5;
  letter.died_ms = some_time_ms + 1000;
  return letter;
}

std::vector<std::uint64_t> seqs(const std::vector<kept_dead_letter>& letters) {
  std::vector<std::uint64_t> found;
  for (const auto& kept : letters)
    found.push_back(kept.letter.seq);
  return found;
}

std::vector<std::uint64_t> listed(dead_letter_store& store, const dead_letter_filter& filter = {},
                                  std::uint64_t after = 0, std::size_t limit = 100) {
  const auto found = store.list(filter, after, limit, false);
  require_ok(found);
  return seqs(*found);
}

std::uint64_t dead_letters_counted(dead_letter_store& store) {
  std::uint64_t letters = 0, bytes = 0;
  for (const auto& tally : *store.tallies()) {
    letters += tally.letters;
    bytes += tally.bytes;
  }
  CHECK(bytes == store.bytes());
  return letters;
}

} // namespace

TEST_CASE("a dead letter comes back whole after a reopen", "[letters]") {
  temporary_dir dir;
  require_ok(letters_in(dir.path())->add({some_letter(7)}));
  auto store = letters_in(dir.path());
  const auto found = store->list({}, 0, 10, true);
  require_ok(found);
  REQUIRE(found->size() == 1);
  const auto& got = found->front().letter;
  const auto sent = some_letter(7);
  CHECK(got.sink == sent.sink);
  CHECK(got.stream == sent.stream);
  CHECK(got.tag == sent.tag);
  CHECK(got.seq == 7);
  CHECK(got.time_ms == sent.time_ms);
  CHECK(got.client == sent.client);
  CHECK(got.content_type == sent.content_type);
  CHECK(got.attributes == sent.attributes);
  CHECK(got.body == sent.body);
  CHECK(got.reason == sent.reason);
  CHECK(got.tries == 5);
  CHECK(got.died_ms == sent.died_ms);
  CHECK(found->front().body_bytes == 7);
  CHECK(store->list({}, 0, 10, false)->front().letter.body.empty());
  CHECK(store->list({}, 0, 10, false)->front().body_bytes == 7);
}

TEST_CASE("burying the same event again replaces it", "[letters]") {
  temporary_dir dir;
  auto store = letters_in(dir.path());
  require_ok(store->add({some_letter(1), some_letter(2)}));
  const auto before = store->bytes();
  auto again = some_letter(1);
  again.reason = "longer than before";
  require_ok(store->add({again, some_letter(1, "other")}));
  CHECK(listed(*store) == std::vector<std::uint64_t>{1, 2, 1});
  CHECK(store->list({}, 0, 1, false)->front().letter.reason == "longer than before");
  CHECK(dead_letters_counted(*store) == 3);
  CHECK(store->bytes() > before);
}

TEST_CASE("letters are listed in the order in which they came, in pages", "[letters]") {
  temporary_dir dir;
  auto store = letters_in(dir.path());
  for (const std::uint64_t seq : {5, 3, 9, 4})
    require_ok(store->add({some_letter(seq, seq == 9 ? "bus" : "next", seq == 4 ? "b" : "a")}));
  CHECK(listed(*store) == std::vector<std::uint64_t>{5, 3, 9, 4});
  CHECK(listed(*store, {}, 0, 2) == std::vector<std::uint64_t>{5, 3});
  CHECK(listed(*store, {}, 2, 2) == std::vector<std::uint64_t>{9, 4});
  CHECK(listed(*store, {.sink = "bus"}) == std::vector<std::uint64_t>{9});
  CHECK(listed(*store, {.stream = "b"}) == std::vector<std::uint64_t>{4});
  CHECK(listed(*store, {.sink = "bus", .stream = "b"}).empty());
  CHECK(listed(*store, {.ids = {{3, letter_tag}, {9, letter_tag}, {5, "otherone"}}}) ==
        std::vector<std::uint64_t>{3, 9});
  CHECK(listed(*store, {.from_ms = some_time_ms + 4, .to_ms = some_time_ms + 5}) ==
        std::vector<std::uint64_t>{5, 4});
  // A number is never given twice, or a page could miss a letter.
  CHECK(*store->remove({.stream = "b"}) == 1);
  require_ok(store->add({some_letter(11)}));
  CHECK(listed(*store, {}, 4) == std::vector<std::uint64_t>{11});
}

TEST_CASE("pages with bodies end at a number of bytes", "[letters]") {
  temporary_dir dir;
  auto store = letters_in(dir.path(), 100u << 20);
  auto large = some_letter(1);
  large.body.assign(dead_letter_read_bytes / 2 + 1, 'x');
  for (std::uint64_t seq = 1; seq <= 4; ++seq) {
    large.seq = seq;
    require_ok(store->add({large}));
  }
  CHECK(store->list({}, 0, 10, true)->size() == 2);
  CHECK(store->list({}, 2, 10, true)->size() == 2);
  CHECK(store->list({}, 0, 10, false)->size() == 4);
}

TEST_CASE("a letter that no store of this size holds is told apart from a full store",
          "[letters]") {
  temporary_dir dir;
  auto store = letters_in(dir.path(), 1000);
  auto large = some_letter(1);
  large.body.assign(1000, 'x');
  const auto alone = store->add({large});
  REQUIRE(alone.has_error());
  CHECK(alone.error().code == errc::invalid);
  CHECK_THAT(alone.error().message, Catch::Matchers::Contains("0000000000000001-") &&
                                        Catch::Matchers::Contains("dead_letters.max_size"));
  CHECK(store->add({large, some_letter(2)}).error().code == errc::disk_full);
  CHECK(dead_letters_counted(*store) == 0);
}

TEST_CASE("a full store takes nothing, says what to do, and has room again later", "[letters]") {
  temporary_dir dir;
  auto store = letters_in(dir.path(), 1000);
  require_ok(store->add({some_letter(1), some_letter(2)}));
  const auto full = store->add({some_letter(3), some_letter(4)});
  REQUIRE(full.has_error());
  CHECK(full.error().code == errc::disk_full);
  CHECK_THAT(full.error().message, Catch::Matchers::Contains("dead_letters.max_size") &&
                                       Catch::Matchers::Contains("penstock dead-letters"));
  CHECK(dead_letters_counted(*store) == 2);
  // As after a crash: they are there already.
  require_ok(letters_in(dir.path(), 300)->add({some_letter(2), some_letter(1)}));
  CHECK(*store->remove({.ids = {{1, letter_tag}}}) == 1);
  require_ok(store->add({some_letter(3)}));
  CHECK(dead_letters_counted(*letters_in(dir.path(), 1000)) == 2);
}

TEST_CASE("counts are kept by sink and stream", "[letters]") {
  temporary_dir dir;
  auto store = letters_in(dir.path());
  require_ok(store->add(
      {some_letter(1), some_letter(2), some_letter(3, "next", "b"), some_letter(4, "bus", "b")}));
  auto tallies = *store->tallies();
  REQUIRE(tallies.size() == 3);
  CHECK(tallies[1].sink == "next");
  CHECK(tallies[1].stream == "b");
  CHECK(*store->remove({.sink = "next", .stream = "default"}) == 2);
  tallies = *store->tallies();
  REQUIRE(tallies.size() == 2);
  CHECK(tallies[0].sink == "bus");
  CHECK(tallies[0].letters == 1);
  CHECK(*store->remove({}) == 2);
  CHECK(store->tallies()->empty());
  CHECK(store->bytes() == 0);
}

TEST_CASE("a retry goes by sink and stream, and goes on after a reopen", "[letters]") {
  temporary_dir dir;
  delivery_job job;
  {
    auto store = letters_in(dir.path());
    require_ok(store->add({some_letter(1), some_letter(2, "bus"), some_letter(3),
                           some_letter(4, "next", "b"), some_letter(5)}));
    job = *store->begin_retry({}, {.created_ms = 9});
    CHECK(job_id(job) == "d1");
    CHECK(job.total == 5);
    // What is in a job already is not taken by another, and without letters there is none.
    CHECK(store->begin_retry({}, {})->number == 0);
    auto chunk = *store->next_chunk(job.number, 100, 1 << 20);
    CHECK(chunk.sink == "bus");
    CHECK(seqs(chunk.letters) == std::vector<std::uint64_t>{2});
    job.sent = 1;
    require_ok(store->settle({{chunk.letters[0].number}, {}}, job));
    CHECK(seqs(store->next_chunk(job.number, 100, 1 << 20)->letters) ==
          std::vector<std::uint64_t>{4});
  }
  auto store = letters_in(dir.path());
  CHECK(*store->find_retry(job.number) == job);
  auto chunk = *store->next_chunk(job.number, 100, 1 << 20);
  CHECK(seqs(chunk.letters) == std::vector<std::uint64_t>{4});
  chunk.letters[0].letter.reason = "still no";
  chunk.letters[0].letter.tries = 6;
  job.refused = 1;
  require_ok(store->settle({{}, chunk.letters}, job));
  chunk = *store->next_chunk(job.number, 2, 1 << 20);
  CHECK(chunk.stream == "default");
  CHECK(seqs(chunk.letters) == std::vector<std::uint64_t>{1, 3});
  CHECK(store->next_chunk(job.number, 10, 1)->letters.size() == 1);
  require_ok(store->settle({{chunk.letters[0].number, chunk.letters[1].number}, {}}, job));
  CHECK(*store->remove({.ids = {{5, letter_tag}}}) == 1); // dropped under its feet
  CHECK(store->next_chunk(job.number, 10, 1 << 20)->letters.empty());
  const auto left = *store->list({}, 0, 10, true);
  REQUIRE(seqs(left) == std::vector<std::uint64_t>{4});
  CHECK(left[0].letter.reason == "still no");
  CHECK(left[0].letter.tries == 6);
  CHECK(left[0].letter.body == some_letter(4).body);
  CHECK(dead_letters_counted(*store) == 1);
}

TEST_CASE("letters of a retry that ended can be retried by another", "[letters]") {
  temporary_dir dir;
  auto store = letters_in(dir.path());
  require_ok(store->add({some_letter(1)}));
  auto job = *store->begin_retry({.sink = "next"}, {.sink = "next"});
  job.state = job_state::cancelled;
  require_ok(store->save(job));
  CHECK(store->next_chunk(job.number, 10, 1)->letters.empty());
  const auto second = *store->begin_retry({.ids = {{1, letter_tag}}}, {});
  CHECK(second.total == 1);
  const auto jobs = *store->list_retries();
  REQUIRE(jobs.size() == 2);
  CHECK(jobs[0] == second);
  CHECK(jobs[1] == job);
}

TEST_CASE("what was confirmed is there after the process is killed", "[letters]") {
  temporary_dir dir;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const auto child = ::fork();
  if (child == 0) {
    auto store = dead_letter_store::open(dir.path());
    const bool ok = store && (*store)->add({some_letter(1), some_letter(2)}) &&
                    (*store)->begin_retry({.ids = {{2, letter_tag}}}, {});
    (void)!::write(ready[1], ok ? "y" : "n", 1);
    ::pause();
    ::_exit(0);
  }
  char outcome = 0;
  REQUIRE(::read(ready[0], &outcome, 1) == 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  CHECK(outcome == 'y');
  auto store = letters_in(dir.path());
  CHECK(dead_letters_counted(*store) == 2);
  CHECK(seqs(store->next_chunk(1, 10, 100)->letters) == std::vector<std::uint64_t>{2});
}

TEST_CASE("a newer file of dead letters is left alone, and says what to do", "[letters]") {
  temporary_dir dir;
  { letters_in(dir.path()); }
  {
    auto db = sqlite_database::open(dir.path() / "dead-letters.db", sqlite_mode::read_write);
    require_ok(db->exec("PRAGMA user_version = 2"));
  }
  const auto opened = dead_letter_store::open(dir.path());
  REQUIRE(opened.has_error());
  CHECK(opened.error().code == errc::corrupt);
  CHECK_THAT(opened.error().message, Catch::Matchers::Contains("move"));
}

TEST_CASE("replays come back, the running ones first, and old ones go", "[letters]") {
  temporary_dir dir;
  std::vector<delivery_job> made;
  {
    auto store = *replay_store::open(dir.path());
    for (int i = 0; i < 3; ++i)
      made.push_back(*store->add({.stream = "a",
                                  .sink = "bus",
                                  .from_seq = 5,
                                  .to_seq = 99,
                                  .rate = 7,
                                  .next_seq = 5,
                                  .total = 95,
                                  .created_ms = i}));
    made[1].state = job_state::failed;
    made[1].why = "the sink is gone";
    made[1].next_seq = 50;
    made[1].sent = 44;
    made[1].refused = 1;
    made[1].changed_ms = 77;
    made[2].state = job_state::done;
    for (const auto& job : made)
      require_ok(store->save(job));
  }
  auto store = *replay_store::open(dir.path());
  CHECK(job_id(made[0]) == "r1");
  CHECK(*store->list() == std::vector<delivery_job>{made[0], made[2], made[1]});
  CHECK(*store->find(2) == made[1]);
  CHECK_FALSE(store->find(4)->has_value());
  for (std::size_t i = 0; i <= max_ended_jobs; ++i)
    require_ok(store->add({.state = job_state::done}));
  CHECK(store->list()->size() == max_ended_jobs + 1);
  CHECK(store->find(1)->has_value()); // it runs
  CHECK_FALSE(store->find(2)->has_value());
  CHECK(job_number(job_kind::replay, "r12") == 12u);
  for (const auto* id : {"", "r", "d12", "r-1", "r1x", "12", "r0"})
    CHECK_FALSE(job_number(job_kind::replay, id));
}

TEST_CASE("streams that share a bound fill no more than that", "[letters]") {
  temporary_dir dir;
  auto store = letters_in(dir.path(), 10'000);
  const letter_share share{[](const std::string& stream) { return stream != "orders"; }, 1000};
  const auto letter = [](std::uint64_t seq, const std::string& stream) {
    auto made = some_letter(seq);
    made.stream = stream;
    return made;
  };
  require_ok(store->add({letter(1, "a"), letter(2, "b")}, share));
  const auto full = store->add({letter(3, "c"), letter(4, "c")}, share);
  REQUIRE(full.has_error());
  CHECK(full.error().code == errc::disk_full);
  CHECK_THAT(full.error().message, Catch::Matchers::Contains("not configured"));
  CHECK(dead_letters_counted(*store) == 2);
  // Others go on, and what is there may be replaced.
  require_ok(store->add({letter(5, "orders"), letter(6, "orders"), letter(7, "orders")}));
  require_ok(store->add({letter(1, "a")}, share));
  auto large = letter(8, "a");
  large.body.assign(1000, 'x');
  CHECK(store->add({large}, share).error().code == errc::invalid);
  require_ok(store->add({large}));
}
