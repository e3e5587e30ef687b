#include "actors/cluster/cluster_settings.hpp"
#include "cli/node/client_secret.hpp"
#include "storage/base/files.hpp"
#include "tests/unit/storage/support.hpp"

using namespace penstock;
using penstock::test::temporary_dir;
namespace fs = std::filesystem;

namespace {

const std::string checksum_name = "client-secret.sha256";

result<std::string> secret_in(const fs::path& dir) {
  return client_secret(cluster_settings{}, dir);
}

void write(const fs::path& file, const std::string& content) {
  std::ofstream{file, std::ios::binary} << content;
}

void check_refused(const fs::path& dir) {
  const auto secret = secret_in(dir);
  REQUIRE_FALSE(secret.has_value());
  CHECK(secret.error().code == errc::corrupt);
  // Who follows the message knows what it costs.
  CHECK(secret.error().message.find("Restore it from a backup") != std::string::npos);
  CHECK(secret.error().message.find("no API key works any more") != std::string::npos);
}

} // namespace

TEST_CASE("a node on its own makes its secret once", "[client_secret]") {
  temporary_dir dir;
  const auto made = secret_in(dir.path());
  REQUIRE(made.has_value());
  CHECK(made->size() == 32);
  CHECK(*secret_in(dir.path()) == *made);
  CHECK(!is_open_to_others(dir.path() / "client-secret"));
  temporary_dir other;
  CHECK(*secret_in(other.path()) != *made);
}

TEST_CASE("a secret that is damaged or gone is not taken, nor made anew", "[client_secret]") {
  temporary_dir dir;
  const auto made = *secret_in(dir.path());
  const auto file = dir.path() / "client-secret";
  SECTION("a bit of it") {
    auto other = made;
    other[17] = static_cast<char>(other[17] ^ 4);
    write(file, other);
    check_refused(dir.path());
  }
  SECTION("shorter") {
    write(file, made.substr(0, 31));
    check_refused(dir.path());
  }
  SECTION("longer") {
    write(file, made + "x");
    check_refused(dir.path());
  }
  SECTION("empty") {
    write(file, "");
    check_refused(dir.path());
  }
  SECTION("gone") {
    fs::remove(file);
    check_refused(dir.path());
  }
  SECTION("its checksum") {
    write(dir.path() / checksum_name, "0000");
    check_refused(dir.path());
    fs::remove(dir.path() / checksum_name); // as the message says for this case
    CHECK(*secret_in(dir.path()) == made);
  }
  write(file, made);
  CHECK(*secret_in(dir.path()) == made);
}

TEST_CASE("a secret of an earlier version gets a checksum", "[client_secret]") {
  temporary_dir dir;
  const std::string before(32, 's');
  write(dir.path() / "client-secret", before);
  fs::permissions(dir.path() / "client-secret", fs::perms{0644});
  CHECK(*secret_in(dir.path()) == before);
  CHECK(!is_open_to_others(dir.path() / "client-secret"));
  CHECK(fs::exists(dir.path() / checksum_name));
  write(dir.path() / "client-secret", std::string(32, 't'));
  check_refused(dir.path());
}
