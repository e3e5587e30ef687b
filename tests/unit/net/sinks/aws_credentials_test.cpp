#include "net/sinks/aws/aws_credentials.hpp"
#include "tests/unit/cli/fake_server.hpp"
#include "tests/unit/storage/support.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace penstock;
using namespace std::chrono_literals;
using penstock::test::fake_answer;
using penstock::test::fake_request;
using penstock::test::fake_server;

namespace {

using aws_time = aws_credentials::time_point;

const auto not_stopping = std::make_shared<const std::atomic<bool>>(false);
const aws_time noon{std::chrono::seconds{1'795'348'800}}; // 2026-11-22T12:00:00Z

constexpr auto shared_file = R"(# a comment
[default]
aws_access_key_id = AKDEFAULT
aws_secret_access_key=sec/ret+=
[ other ]
aws_access_key_id = AKOTHER
  aws_secret_access_key = two
aws_session_token = tok=en
; the end
[half]
aws_access_key_id = AKHALF
)";

void write_file(const std::string& path, std::string_view text) {
  std::ofstream{path, std::ios::binary} << text;
}

/// An instance's metadata service.
struct instance_world {
  int generation = 1;
  bool broken = false;
  std::string expiration = "2026-11-22T18:00:00Z";
  fake_server server{[this](const fake_request& r) { return answer(r); }};

  fake_answer answer(const fake_request& r) {
    if (broken) return {500, ""};
    if (r.target == "/latest/api/token")
      return r.method == "PUT" && !r.field("x-aws-ec2-metadata-token-ttl-seconds").empty()
                 ? fake_answer{200, "the-token\n"}
                 : fake_answer{400, ""};
    if (r.field("x-aws-ec2-metadata-token") != "the-token") return {401, ""};
    if (r.target == "/latest/meta-data/iam/security-credentials/") return {200, "our-role"};
    if (r.target != "/latest/meta-data/iam/security-credentials/our-role") return {404, ""};
    return {200, R"({"Code":"Success","AccessKeyId":"AK)" + std::to_string(generation) +
                     R"(","SecretAccessKey":"s","Token":"t","Expiration":")" + expiration + "\"}"};
  }
};

} // namespace

TEST_CASE("a profile of the shared file") {
  auto key = parse_aws_profile(shared_file, "default");
  REQUIRE(key.has_value());
  CHECK(key->id == "AKDEFAULT");
  CHECK(key->secret == "sec/ret+=");
  CHECK(key->session_token.empty());
  key = parse_aws_profile(shared_file, "other");
  REQUIRE(key.has_value());
  CHECK(key->secret == "two");
  CHECK(key->session_token == "tok=en");
  CHECK(parse_aws_profile(shared_file, "half").error().message.find("AKHALF") == std::string::npos);
  CHECK(parse_aws_profile(shared_file, "none").error().message.find("[none]") != std::string::npos);
  CHECK(parse_aws_profile("[default", "default").has_error());
}

TEST_CASE("the environment comes before the file, the file before the instance") {
  const penstock::test::temporary_dir dir;
  const auto path = (dir.path() / "credentials").string();
  write_file(path, shared_file);
  aws_key_sources sources{.environment = {"AKENV", "s", "t"}, .file = path};
  CHECK(aws_credentials{sources, not_stopping}.get(noon)->id == "AKENV");
  sources.environment = {};
  CHECK(aws_credentials{sources, not_stopping}.get(noon)->id == "AKDEFAULT");
  sources.environment = {"AKENV", "", ""};
  CHECK(aws_credentials{sources, not_stopping}.get(noon).error().code == errc::config);
}

TEST_CASE("the file is read again now and then, and when its key is not accepted") {
  const penstock::test::temporary_dir dir;
  const auto path = (dir.path() / "credentials").string();
  write_file(path, shared_file);
  aws_credentials credentials{{.file = path}, not_stopping};
  CHECK(credentials.get(noon)->id == "AKDEFAULT");
  write_file(path, "[default]\naws_access_key_id=AKNEW\naws_secret_access_key=s\n");
  CHECK(credentials.get(noon + 4min)->id == "AKDEFAULT");
  CHECK(credentials.get(noon + 6min)->id == "AKNEW");
  write_file(path, shared_file);
  credentials.forget();
  CHECK(credentials.get(noon + 6min)->id == "AKDEFAULT");
}

TEST_CASE("what was looked for is said when nothing was found") {
  aws_credentials none{{.file = "/nonexistent/credentials"}, not_stopping};
  const auto why = none.get(noon).error().message;
  CHECK(why.find("AWS_ACCESS_KEY_ID") != std::string::npos);
  CHECK(why.find("/nonexistent/credentials") != std::string::npos);
  CHECK(why.find("metadata_url") != std::string::npos);
}

TEST_CASE("the instance is asked in three steps, and again before its key expires") {
  instance_world world;
  aws_credentials credentials{{.metadata_url = world.server.url()}, not_stopping};
  const auto key = credentials.get(noon);
  REQUIRE(key.has_value());
  CHECK(key->id == "AK1");
  CHECK(key->session_token == "t");
  CHECK(world.server.requests().size() == 3);
  CHECK(credentials.get(noon + 5h)->id == "AK1");
  CHECK(world.server.requests().size() == 3);
  world.generation = 2;
  world.expiration = "2026-11-23T00:00:00Z";
  CHECK(credentials.get(noon + 5h + 56min)->id == "AK2");
}

TEST_CASE("while the instance does not answer a key serves until it expires") {
  instance_world world;
  aws_credentials credentials{{.metadata_url = world.server.url()}, not_stopping};
  REQUIRE(credentials.get(noon).has_value());
  world.broken = true;
  CHECK(credentials.get(noon + 5h + 56min)->id == "AK1");
  const auto asked = world.server.requests().size();
  CHECK(credentials.get(noon + 5h + 56min + 10s)->id == "AK1");
  CHECK(world.server.requests().size() == asked); // not for each batch
  const auto late = credentials.get(noon + 6h);
  REQUIRE(late.has_error());
  CHECK(late.error().code == errc::unavailable);
  CHECK(late.error().message.find("answered 500") != std::string::npos);
}

TEST_CASE("an answer of the instance that is no key") {
  for (const char* text :
       {"", "{}", R"({"Code":"Failed"})", R"({"AccessKeyId":"a","SecretAccessKey":"b"})"})
    CHECK(parse_aws_role_key(text).has_error());
}
