// No client is told where a node keeps its files.
#include "storage/base/files.hpp"
#include "storage/base/told.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <fcntl.h>

namespace penstock {

TEST_CASE("told: what is about the request is told as it is") {
  for (const auto code : {errc::invalid, errc::not_found, errc::unavailable})
    CHECK(told_to_clients({code, "there is no plan \"/a/b\""}) == "there is no plan \"/a/b\"");
}

TEST_CASE("told: of the node's files, no path and no word of the system") {
  for (const auto code : {errc::io, errc::corrupt, errc::newer, errc::locked, errc::config,
                          errc::disk_full, errc::journal_full}) {
    const auto told = told_to_clients({code, "/var/lib/penstock/journal/1.db: disk I/O error"});
    INFO(told);
    CHECK_FALSE(told.empty());
    CHECK(told.find('/') == told.npos);
    CHECK(told.find("I/O") == told.npos);
  }
  CHECK(told_to_clients({errc::disk_full, "dead letters take 5 bytes of the 4 …"}) ==
        "dead letters take 5 bytes of the 4 …"); // about a setting
  // A file that is gone is "not found", but not what the client asked for.
  const auto gone = open_file("/nonexistent/penstock", O_RDONLY);
  REQUIRE_FALSE(gone.has_value());
  CHECK(gone.error().code == errc::not_found);
  CHECK(told_to_clients(gone.error()).find("nonexistent") == std::string::npos);
  for (const int number : {ENOENT, EACCES, EIO, EROFS, ENOSPC, ENOTDIR}) {
    errno = number;
    const auto told = told_to_clients(system_error("/var/lib/penstock", "sync"));
    INFO(told);
    CHECK(told.find("penstock") == told.npos);
  }
}

} // namespace penstock
