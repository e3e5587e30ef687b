// sqlite_database::in_transaction: all of the work, or nothing of it.
#include "storage/sqlite/sqlite.hpp"
#include "tests/unit/storage/support.hpp"

using namespace penstock;
using penstock::test::temporary_dir;

namespace {

struct two_tables {
  temporary_dir dir;
  sqlite_database db = sqlite_database::open(dir.path() / "x.db", sqlite_mode::create).value();

  two_tables() {
    REQUIRE(db.exec("PRAGMA foreign_keys = ON; CREATE TABLE parent (id INTEGER PRIMARY KEY); "
                    "CREATE TABLE child (parent INTEGER REFERENCES parent DEFERRABLE INITIALLY "
                    "DEFERRED);")
                .has_value());
  }
  std::int64_t rows() {
    auto count = db.prepare("SELECT (SELECT count(*) FROM parent) + (SELECT count(*) FROM child)");
    REQUIRE(count->step().value());
    return count->integer(0);
  }
  bool is_open() const { return sqlite3_get_autocommit(db.raw()) == 0; }
};

} // namespace

TEST_CASE("a transaction commits what its work did, and gives what it gave") {
  two_tables t;
  const auto given = t.db.in_transaction([&]() -> result<std::int64_t> {
    if (auto done = t.db.exec("INSERT INTO parent VALUES (1)"); !done) return done.error();
    return std::int64_t{7};
  });
  CHECK(given.value() == 7);
  CHECK(t.rows() == 1);
  CHECK_FALSE(t.is_open());
}

TEST_CASE("of work that fails nothing is left, and the error is the work's") {
  two_tables t;
  const auto failed = t.db.in_transaction([&]() -> result<void> {
    REQUIRE(t.db.exec("INSERT INTO parent VALUES (1)").has_value());
    return error{errc::invalid, "not this"};
  });
  REQUIRE(failed.has_error());
  CHECK(failed.error().message == "not this");
  CHECK(t.rows() == 0);
  CHECK_FALSE(t.is_open());
}

TEST_CASE("of work that can't be committed nothing is left") {
  two_tables t;
  const auto failed =
      t.db.in_transaction([&] { return t.db.exec("INSERT INTO child VALUES (5)"); });
  CHECK(failed.has_error());
  CHECK(t.rows() == 0);
  CHECK_FALSE(t.is_open());
}

TEST_CASE("work is not done while another connection writes") {
  two_tables t;
  auto other = sqlite_database::open(t.dir.path() / "x.db", sqlite_mode::read_write).value();
  REQUIRE(other.exec("BEGIN IMMEDIATE").has_value());
  bool called = false;
  const auto failed = t.db.in_transaction([&]() -> result<void> {
    called = true;
    return {};
  });
  CHECK(failed.has_error());
  CHECK_FALSE(called);
  CHECK_FALSE(t.is_open());
}
