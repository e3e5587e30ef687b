// Journals of other nodes: what is held, let go, refused and recovered.
#include "storage/journal/replica_store.hpp"

#include "storage/base/files.hpp"
#include "storage/journal/idempotency_rows.hpp"
#include "storage/journal/segment.hpp"
#include "tests/unit/storage/support.hpp"

using namespace penstock;
using namespace penstock::test;

namespace {

const std::string first_tag = "aaaaaaaa", second_tag = "bbbbbbb2";

replica_options replicas_in(const std::filesystem::path& dir) {
  replica_options options;
  options.dir = dir;
  options.preallocate = false;
  return options;
}

std::unique_ptr<replica_store> open_replicas(const replica_options& options,
                                             std::vector<std::string>* problems = nullptr) {
  auto opened = replica_store::open(options, problems);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

std::vector<std::uint64_t> held(const replica_store& store, const std::string& tag,
                                std::uint64_t after = 0) {
  auto reader = journal_reader::make(store.catalog(tag));
  auto read = reader->read("default", after, no_limit_bytes);
  if (!read) FAIL(read.error().message);
  return numbers(*read);
}

void hold(replica_store& store, const std::string& tag, const event_block& block) {
  require_ok(store.append(tag, block));
  require_ok(store.commit(tag));
}

} // namespace

TEST_CASE("a replica holds the origin's events with its numbers and tag", "[replica]") {
  temporary_dir dir;
  auto store = open_replicas(replicas_in(dir.path()));
  require_ok(store->add_origin(first_tag, "a"));
  require_ok(store->add_origin(second_tag, "b"));
  hold(*store, first_tag, numbered_block(1'000'001, 5));
  hold(*store, second_tag, numbered_block(7, 2));
  hold(*store, first_tag, numbered_block(1'000'100, 3)); // gaps are normal
  CHECK(held(*store, first_tag) == std::vector<std::uint64_t>{1'000'001, 1'000'002, 1'000'003,
                                                              1'000'004, 1'000'005, 1'000'100,
                                                              1'000'101, 1'000'102});
  CHECK(held(*store, second_tag) == range(7, 8));
  CHECK(store->settled_seq(first_tag) == 1'000'102);
  const auto all = store->list();
  REQUIRE(all.size() == 2);
  CHECK(all[0].tag == first_tag);
  CHECK(all[0].node == "a");
  CHECK(all[0].first_seq == 1'000'001);
  CHECK(all[0].events == 8);
  CHECK(all[0].bytes > 0);

  // What it holds is a data directory, journal and all.
  require_ok(store->release(first_tag));
  journal_options options;
  options.dir = replica_dir(dir.path(), first_tag) / "journal";
  options.preallocate = false;
  auto log = open_journal(options);
  CHECK(log->tag() == first_tag);
  CHECK(numbers(read_all(*log)).size() == 8);
}

TEST_CASE("what is not committed is not held, and may be sent again", "[replica]") {
  temporary_dir dir;
  {
    auto store = open_replicas(replicas_in(dir.path()));
    require_ok(store->add_origin(first_tag, "a"));
    hold(*store, first_tag, numbered_block(1, 10));
    require_ok(store->append(first_tag, numbered_block(11, 10)));
    CHECK(store->settled_seq(first_tag) == 10);
  }
  std::vector<std::string> problems;
  auto store = open_replicas(replicas_in(dir.path()), &problems);
  CHECK(problems.empty());
  CHECK(store->list().front().node == "a");
  CHECK(held(*store, first_tag) == range(1, 10));
  hold(*store, first_tag, numbered_block(1, 10)); // all of it is held
  hold(*store, first_tag, numbered_block(6, 20)); // cut otherwise: half of it is
  hold(*store, first_tag, numbered_block(26, 1));
  CHECK(held(*store, first_tag) == range(1, 26));
}

TEST_CASE("what an origin no longer needs goes by segments, and is not forgotten over a restart",
          "[replica]") {
  temporary_dir dir;
  auto options = replicas_in(dir.path());
  options.segment_max_bytes = 64u << 10;
  {
    auto store = open_replicas(options);
    require_ok(store->add_origin(first_tag, "a"));
    for (std::uint64_t seq = 1; seq <= 100; ++seq)
      hold(*store, first_tag, numbered_block(seq, 1, "default", 8 << 10));
    const auto before = store->list().front();
    CHECK(before.events == 100);
    require_ok(store->forget_up_to(first_tag, 60));
    const auto after = store->list().front();
    CHECK(after.bytes < before.bytes);
    CHECK(after.first_seq > 40);
    CHECK(after.first_seq <= 61); // nothing that is needed goes
    CHECK(after.forgotten_seq == 60);
    require_ok(store->forget_up_to(first_tag, 50)); // never back
    CHECK(forgotten_in(replica_dir(dir.path(), first_tag)) == 60);
    require_ok(store->forget_up_to(first_tag, 1000)); // beyond what is held
    CHECK(store->list().front().events < 20);         // the last segment stays
    hold(*store, first_tag, numbered_block(990, 20));
    CHECK(held(*store, first_tag, 1000) == range(1001, 1009));
  }
  auto store = open_replicas(options);
  CHECK(store->list().front().forgotten_seq == 1000);
  CHECK(store->settled_seq(first_tag) == 1009);
}

TEST_CASE("a replica that is full refuses, and takes again when something was let go",
          "[replica]") {
  temporary_dir dir;
  auto options = replicas_in(dir.path());
  options.max_bytes = 1u << 20;
  auto store = open_replicas(options);
  require_ok(store->add_origin(first_tag, "a"));
  require_ok(store->add_origin(second_tag, "b"));
  std::uint64_t seq = 0;
  result<void> done;
  while (done && seq < 1000) {
    done = store->append(first_tag, numbered_block(seq + 1, 1, "default", 16 << 10));
    if (done) done = store->commit(first_tag);
    if (done) ++seq;
  }
  REQUIRE_FALSE(done);
  CHECK(done.error().code == errc::journal_full);
  CHECK(seq > 20);
  CHECK(store->list().front().bytes <= options.max_bytes);
  CHECK(store->settled_seq(first_tag) == seq);
  hold(*store, second_tag, numbered_block(1, 1)); // another's room is its own
  require_ok(store->forget_up_to(first_tag, seq));
  hold(*store, first_tag, numbered_block(seq + 1, 1, "default", 16 << 10));
}

TEST_CASE("origins are refused by name, by number and when they are in use", "[replica]") {
  temporary_dir dir;
  auto options = replicas_in(dir.path());
  options.max_origins = 1;
  auto store = open_replicas(options);
  CHECK(store->list().empty());
  for (const char* tag : {"", "aaaaaaa", "../../et", "AAAAAAAA", "aaaaaaaa1"})
    CHECK(store->add_origin(tag, "x").error().code == errc::invalid);
  CHECK(store->append(first_tag, numbered_block(1, 1)).error().code == errc::not_found);
  CHECK(store->commit(first_tag).error().code == errc::not_found);
  CHECK(store->settled_seq(first_tag) == 0);
  CHECK(store->catalog(first_tag) == nullptr);
  require_ok(store->add_origin(first_tag, "a"));
  require_ok(store->add_origin(first_tag, "renamed"));
  CHECK(store->list().front().node == "renamed");
  CHECK(store->add_origin(second_tag, "b").error().code == errc::unavailable);

  std::vector<std::string> problems;
  auto other = open_replicas(options, &problems); // someone has it open: left alone
  CHECK(other->list().empty());
  REQUIRE(problems.size() == 1);
  CHECK(problems.front().find(first_tag) != std::string::npos);
  require_ok(store->release(first_tag));
  CHECK(open_replicas(options)->list().size() == 1);
}

TEST_CASE("what nobody needs is deleted or set aside, and makes room", "[replica]") {
  temporary_dir dir;
  auto options = replicas_in(dir.path());
  options.max_origins = 1;
  auto store = open_replicas(options);
  require_ok(store->add_origin(first_tag, "a"));
  hold(*store, first_tag, numbered_block(1, 3));
  CHECK_FALSE(store->add_origin(second_tag, "b"));
  require_ok(store->remove(first_tag));
  CHECK_FALSE(std::filesystem::exists(replica_dir(dir.path(), first_tag)));
  require_ok(store->add_origin(second_tag, "b"));
  hold(*store, second_tag, numbered_block(1, 3));
  require_ok(store->release(second_tag)); // as for an adoption
  require_ok(store->set_aside(second_tag));
  CHECK(std::filesystem::exists(replica_dir(dir.path(), second_tag + ".adopted") / "journal"));
  // The same origin again, from the start; and once more.
  require_ok(store->add_origin(second_tag, "b"));
  CHECK(store->settled_seq(second_tag) == 0);
  require_ok(store->set_aside(second_tag));
  CHECK(std::filesystem::exists(replica_dir(dir.path(), second_tag + ".adopted-2")));
  CHECK(open_replicas(options)->list().empty());
  CHECK_FALSE(store->remove(".."));
  CHECK_FALSE(store->set_aside("../x"));
}

TEST_CASE("a replica whose directory is taken away holds nothing until it is back", "[replica]") {
  temporary_dir dir;
  auto store = open_replicas(replicas_in(dir.path()));
  require_ok(store->add_origin(first_tag, "a"));
  hold(*store, first_tag, numbered_block(1, 10));
  const auto replicas = dir.path() / "replicas", away = dir.path() / "away";
  require_ok(store->append(first_tag, numbered_block(11, 5)));
  std::filesystem::rename(replicas, away);
  CHECK(store->commit(first_tag).error().code == errc::io);
  CHECK(store->append(first_tag, numbered_block(11, 5)).error().code == errc::io);
  CHECK(store->settled_seq(first_tag) == 10);
  std::filesystem::rename(away, replicas);
  hold(*store, first_tag, numbered_block(11, 5)); // sent again
  CHECK(held(*store, first_tag) == range(1, 15));
}

TEST_CASE("that not all is held is known until it is forgotten", "[replica][damage]") {
  temporary_dir dir;
  auto options = replicas_in(dir.path());
  const auto partial_seq = [](const replica_store& store) {
    REQUIRE(store.list().size() == 1);
    return store.list().front().partial_seq;
  };
  {
    auto store = open_replicas(options);
    require_ok(store->add_origin(first_tag, "a"));
    hold(*store, first_tag, numbered_block(1, 10));
    CHECK(partial_seq(*store) == 0);
    require_ok(store->note_partial(first_tag, 7));
    require_ok(store->note_partial(first_tag, 3));
    CHECK(partial_seq(*store) == 7);
    CHECK(store->note_partial(second_tag, 1).error().code == errc::not_found);
  }
  auto store = open_replicas(options);
  CHECK(partial_seq(*store) == 7);
  require_ok(store->release(first_tag)); // as for an adoption
  require_ok(store->add_origin(first_tag, "a"));
  CHECK(partial_seq(*store) == 7);
  SECTION("it is forgotten") {
    require_ok(store->forget_up_to(first_tag, 6));
    CHECK(partial_seq(*store) == 7);
    require_ok(store->forget_up_to(first_tag, 7));
    CHECK(partial_seq(*store) == 0);
  }
  SECTION("the note is damaged: all counts as partial") {
    store.reset();
    flip_bit(replica_dir(dir.path(), first_tag) / "partial", 15);
    std::vector<std::string> problems;
    CHECK(partial_seq(*open_replicas(options, &problems)) == 10);
    CHECK(problems.size() == 1);
    CHECK(partial_seq(*open_replicas(options, &problems)) == 10);
    CHECK(problems.size() == 1); // told once
  }
}

TEST_CASE("a note that could not be written is not taken for one", "[replica][damage]") {
  temporary_dir dir;
  const auto options = replicas_in(dir.path());
  const auto note = replica_dir(dir.path(), first_tag) / "partial";
  auto store = open_replicas(options);
  require_ok(store->add_origin(first_tag, "a"));
  hold(*store, first_tag, numbered_block(1, 10));
  std::filesystem::create_directory(note); // nothing can be written there
  CHECK_FALSE(store->note_partial(first_tag, 7));
  CHECK_FALSE(store->note_partial(first_tag, 7)); // the same batch again
  CHECK(store->list().front().partial_seq == 7);
  SECTION("it is written when it can be") {
    std::filesystem::remove(note);
    require_ok(store->note_partial(first_tag, 7));
    store.reset();
    CHECK(open_replicas(options)->list().front().partial_seq == 7);
  }
  SECTION("a note that can't be read counts as damaged") {
    store.reset();
    std::vector<std::string> problems;
    CHECK(open_replicas(options, &problems)->list().front().partial_seq == 10);
    CHECK_FALSE(problems.empty());
  }
}

TEST_CASE("damage that another found in a replica is not forgotten", "[replica][damage]") {
  temporary_dir dir;
  const auto options = replicas_in(dir.path());
  const auto damaged = replica_dir(dir.path(), first_tag) / "journal" / damaged_dir_name;
  {
    const auto store = open_replicas(options);
    require_ok(store->add_origin(first_tag, "a"));
    hold(*store, first_tag, numbered_block(1, 10));
  }
  // As an adoption leaves it that ends before it can say what it found.
  std::filesystem::create_directory(damaged);
  CHECK(open_replicas(options)->list().front().partial_seq == 0); // it holds nothing
  require_ok(write_file(damaged / "1.db", "x"));
  CHECK(open_replicas(options)->list().front().partial_seq == 10);
}

TEST_CASE("a replica that was found damaged is not all that was held", "[replica][damage]") {
  temporary_dir dir;
  auto options = replicas_in(dir.path());
  options.segment_max_bytes = 256u << 10;
  std::uint64_t seq = 0;
  std::filesystem::path second;
  {
    auto store = open_replicas(options);
    require_ok(store->add_origin(first_tag, "a"));
    while (store->catalog(first_tag)->list().size() < 3)
      hold(*store, first_tag, numbered_block(++seq, 1, "default", 8 << 10));
    second = store->catalog(first_tag)->list()[1].path;
  }
  std::filesystem::remove(second);
  std::filesystem::remove(wal_path(second));
  std::vector<std::string> problems;
  {
    const auto store = open_replicas(options, &problems);
    REQUIRE(problems.size() == 1);
    CHECK(store->list().front().partial_seq == store->settled_seq(first_tag));
  }
  const auto store = open_replicas(options, &problems); // what is gone is told once
  CHECK(problems.size() == 1);
  CHECK(store->list().front().partial_seq > 0);
}

namespace {

/// Of the stream "default" nothing is owed.
class others_backlog final : public backlog_events {
 public:
  portion between(const std::string& stream, std::uint64_t, std::uint64_t) const override {
    return stream == "default" ? portion::none : portion::all;
  }
  bool is_in_backlog(const std::string& stream, std::uint64_t, std::uint64_t) const override {
    return stream != "default";
  }
};

} // namespace

TEST_CASE("segments of a replica go from the middle, and are moved", "[replica][space]") {
  temporary_dir dir;
  auto options = replicas_in(dir.path());
  options.segment_max_bytes = 256u << 10;
  std::uint64_t seq = 0;
  {
    auto store = open_replicas(options);
    require_ok(store->add_origin(first_tag, "a"));
    hold(*store, first_tag, numbered_block(++seq, 1, "unread"));
    while (store->catalog(first_tag)->list().size() < 4)
      hold(*store, first_tag, numbered_block(++seq, 1, "default", 8 << 10));
    const auto keeper = store->keeper(first_tag);
    const auto segments = store->catalog(first_tag)->list();
    require_ok(keeper->move({segments[0]}, others_backlog{}, options.segment_max_bytes));
    CHECK(keeper->retire_these({segments[1]}).value() == 1);
    CHECK(keeper->retire_these({segments[2]}).value() == 1);
    CHECK(store->settled_seq(first_tag) == seq);
    hold(*store, first_tag, numbered_block(seq, 1)); // all of it is held, or was
    CHECK(held(*store, first_tag).empty());
    CHECK(store->list().front().events == 1);
    CHECK(store->list().front().forgotten_seq == 0);
  }
  // The empty last segment says nothing of what went: it may be sent again, and is no second time
  // there.
  auto store = open_replicas(options);
  CHECK(store->settled_seq(first_tag) == 1);
  hold(*store, first_tag, numbered_block(2, seq - 1));
  hold(*store, first_tag, numbered_block(2, seq));
  CHECK(store->settled_seq(first_tag) == seq + 1);
  CHECK(held(*store, first_tag) == range(2, seq + 1));
  CHECK(store->keeper(second_tag) == nullptr);

  require_ok(store->release(first_tag));
  journal_options as_a_node;
  as_a_node.dir = replica_dir(dir.path(), first_tag) / "journal";
  as_a_node.preallocate = false;
  auto log = open_journal(as_a_node);
  CHECK(numbers(read_all(*log, "unread")) == range(1, 1));
}

TEST_CASE("what is moved in a replica keeps its keys over a restart", "[replica][space][keys]") {
  temporary_dir dir;
  auto options = replicas_in(dir.path());
  options.segment_max_bytes = 256u << 10;
  std::uint64_t seq = 1;
  {
    auto store = open_replicas(options);
    require_ok(store->add_origin(first_tag, "a"));
    auto keyed = numbered_block(seq, 1, "unread");
    keyed.keys = {{{7, 8}, 9, 0, 1}};
    hold(*store, first_tag, keyed);
    while (store->catalog(first_tag)->list().size() < 2)
      hold(*store, first_tag, numbered_block(++seq, 1, "default", 8 << 10));
    require_ok(store->keeper(first_tag)->move({store->catalog(first_tag)->list()[0]},
                                              others_backlog{}, options.segment_max_bytes));
  }
  auto store = open_replicas(options);
  const auto moved = store->catalog(first_tag)->list().front();
  CHECK(moved.events.size() == 1);
  REQUIRE(moved.keys > 0);
  std::vector<idempotency_key> found;
  require_ok(visit_records(moved.path, 0, [&](const auto& one) { found.push_back(one.key); }));
  CHECK(found == std::vector<idempotency_key>{{7, 8}});
}
