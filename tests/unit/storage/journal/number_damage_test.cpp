// The numbers beside a journal that only grow: `next-id`, and how far a replica was forgotten.
#include "storage/base/number_file.hpp"
#include "storage/journal/replica_store.hpp"
#include "tests/unit/storage/stores/store_damage_support.hpp"

using namespace penstock;
using namespace penstock::test;

namespace {

std::string content_of(const fs::path& file) {
  return *read_file(file);
}

void put(const fs::path& file, const std::string& text) {
  std::ofstream{file, std::ios::binary} << text;
}

/// A journal that gave 100 ids in an earlier life, and has none of their events any more.
journal_options used_journal(const temporary_dir& dir) {
  auto options = options_in(dir.path());
  {
    auto log = open_journal(options);
    append_and_commit(*log, numbered_block(1, 100));
    require_ok(log->rotate());
    require_ok(segment_keeper::make(*log, options)->retire(100, far_future_ms));
    CHECK(log->catalog()->durable_seq() == 100);
  }
  return options;
}

} // namespace

TEST_CASE("a number file is read by earlier versions, and theirs by this one", "[stores]") {
  temporary_dir dir;
  const auto file = dir.path() / "number";
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{12345}, numbers_with_checksum - 1, numbers_with_checksum,
        std::uint64_t{1} << 63}) {
    require_ok(write_number(file, value));
    const auto text = content_of(file);
    CHECK(text.size() == 21); // which is what earlier versions overwrite in place
    CHECK(std::strtoull(text.c_str(), nullptr, 10) == value);
    const auto stored = read_number(file);
    require_ok(stored);
    REQUIRE(stored->has_value());
    CHECK((*stored)->value == value);
    CHECK((*stored)->has_checksum == (value < numbers_with_checksum));
  }
  put(file, "00000000000000012345\n"); // as they write it
  CHECK((*read_number(file))->value == 12345);
}

TEST_CASE("no bit of a number file is believed to be another number", "[stores]") {
  temporary_dir dir;
  const auto file = dir.path() / "number";
  for (const std::uint64_t value : {1ull, 6291456ull, 777'000'111'222ull}) {
    require_ok(write_number(file, value));
    const auto whole = content_of(file);
    for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
      CAPTURE(value, bit);
      auto hurt = whole;
      hurt[bit / 8] = static_cast<char>(hurt[bit / 8] ^ (1 << bit % 8));
      put(file, hurt);
      const auto stored = read_number(file);
      require_ok(stored);
      CHECK(!stored->has_value());
    }
    put(file, whole);
  }
}

TEST_CASE("ids never come again when next-id is damaged, and they stay within bounds", "[stores]") {
  const std::string text =
      GENERATE("", "x", "00000000000006291", "99999999999999999999\n", "18446744073709551615\n",
               "0000000000629145aaaa\n", "09223372036854775808\n");
  CAPTURE(text);
  temporary_dir dir;
  const auto options = used_journal(dir);
  const auto file = options.dir / "next-id";
  const auto given = std::strtoull(content_of(file).c_str(), nullptr, 10);
  put(file, text);
  std::uint64_t next = 0;
  {
    recovery_report report;
    auto log = open_journal(options, &report);
    REQUIRE(report.damaged.size() == 1);
    CHECK(report.damaged[0].find("next-id is damaged") != std::string::npos);
    next = log->next_seq();
    CHECK(report.damaged[0].find(event_id(next, log->tag())) != std::string::npos);
    CHECK(next > given);
    CHECK(next < numbers_with_checksum);
    append_and_commit(*log, numbered_block(next, 5));
  }
  recovery_report later;
  auto log = open_journal(options, &later);
  CHECK(later.damaged.empty());
  CHECK(log->next_seq() > next + 5);
  CHECK(numbers(read_all(*log)) == range(next, next + 4));
}

TEST_CASE("a next-id of an earlier version is gone on with", "[stores]") {
  temporary_dir dir;
  const auto options = used_journal(dir);
  put(options.dir / "next-id", "00000000000077000000\n");
  recovery_report report;
  CHECK(open_journal(options, &report)->next_seq() == 77'000'000);
  CHECK(report.damaged.empty());
}

TEST_CASE("a replica's damaged note of what is not needed drops nothing", "[stores]") {
  temporary_dir dir;
  replica_options options;
  options.dir = dir.path();
  options.preallocate = false;
  const std::string tag = "abcdefgh";
  {
    auto store = replica_store::open(options);
    require_ok(store);
    require_ok((*store)->add_origin(tag, "a"));
    require_ok((*store)->append(tag, numbered_block(1, 50)));
    require_ok((*store)->commit(tag));
    require_ok((*store)->forget_up_to(tag, 10));
  }
  const auto file = replica_dir(dir.path(), tag) / "forgotten";
  CHECK(forgotten_in(replica_dir(dir.path(), tag)) == 10);
  flip_bit(file, 8, 0);
  std::vector<std::string> problems;
  auto store = replica_store::open(options, &problems);
  require_ok(store);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].find("forgotten is damaged") != std::string::npos);
  CHECK((*store)->list().at(0).forgotten_seq == 0);
  CHECK((*store)->settled_seq(tag) == 50);
  require_ok((*store)->forget_up_to(tag, 20)); // its origin tells it again
  CHECK(forgotten_in(replica_dir(dir.path(), tag)) == 20);
}
