#include "net/directory/directory_json.hpp"
#include "net/directory/directory_names.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace penstock;

namespace {

const std::string a_member = R"("address":"127.0.0.1:4200","incarnation":"i")";

} // namespace

TEST_CASE("addresses and names become keys that NATS allows, and back") {
  CHECK(encode_directory_key("127.0.0.1:4200") == "127.0.0.1=3A4200");
  CHECK(encode_directory_key("[::1]:4200") == "=5B=3A=3A1=5D=3A4200");
  CHECK(encode_directory_key(".a..b.") == "=2Ea=2E=2Eb=2E");
  for (std::string text :
       {std::string{"key.key_abc"}, std::string{"a b>*$\0\xff\n", 8}, std::string{"."},
        std::string{"..."}, std::string{"a=41"}, std::string{"%41"}, std::string(256, ':')}) {
    const auto key = encode_directory_key(text);
    CAPTURE(text, key);
    CHECK(key.front() != '.');
    CHECK(key.back() != '.');
    CHECK(key.find("..") == key.npos);
    CHECK(std::all_of(key.begin(), key.end(), [](char c) {
      return std::string_view{"-_=.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"}
                 .find(c) != std::string_view::npos;
    }));
    CHECK(decode_directory_key(key) == text);
  }
  CHECK(encode_directory_key("") == "");
  CHECK(encode_directory_key(std::string(257, 'a')) == "");
}

TEST_CASE("keys that we would not have written are not read") {
  for (std::string key : {"", ".", "a.", ".a", "a..b", "a b", "a=", "a=4", "a=4g", "a=3a", "a=41",
                          "=2E=2", "a:b", "a/b", "=", "==", "=-1", "a=2Eb"}) {
    CAPTURE(key);
    CHECK_FALSE(decode_directory_key(key));
  }
  CHECK_FALSE(decode_directory_key(std::string(2000, 'a')));
  CHECK_FALSE(decode_directory_key(std::string(257, 'a')));
}

TEST_CASE("each cluster has buckets of its own") {
  CHECK(directory_bucket("dev", "members") == "penstock_dev_members");
  const auto dotted = directory_bucket("dev.eu", "members");
  CHECK(dotted.starts_with("penstock_dev-eu-x"));
  CHECK(dotted.find('.') == dotted.npos);
  CHECK(dotted != directory_bucket("dev-eu", "members"));
  CHECK(dotted != directory_bucket("dev.eu.", "members"));
}

TEST_CASE("a member's record is read as it was written") {
  const member_record member{.address = "[::1]:4200",
                             .incarnation = "abc",
                             .node = "a",
                             .version = "1.2.3",
                             .wire_version = 4'000'000'000,
                             .leaving = true,
                             .epoch = UINT64_MAX,
                             .settled_epoch = 0,
                             .secret_check = "0123456789abcdef",
                             .clocks = {.system_ns = INT64_MAX, .cluster_ns = 5},
                             .requests_per_s = 5,
                             .journal_bytes = std::uint64_t{1} << 60,
                             .lag_events = 7};
  CHECK(read_member(member_json(member)) == member);
  const auto newer = read_member("{" + a_member + R"(,"shoe_size":{"eu":[43]},"epoch":7})");
  REQUIRE(newer);
  CHECK(newer->epoch == 7);
  // An earlier program tells none of these.
  CHECK_FALSE(newer->settled_epoch);
  CHECK(newer->clocks == member_clocks{});
  CHECK(newer->secret_check.empty());
}

TEST_CASE("what is no member's record is not read") {
  for (std::string text : {std::string{},
                           std::string{"null"},
                           std::string{"[]"},
                           std::string{"{}"},
                           "{" + a_member,
                           "{" + a_member + "}x",
                           std::string{R"({"address":"a"})"},
                           std::string{R"({"incarnation":"a"})"},
                           "{" + a_member + R"(,"epoch":-1})",
                           "{" + a_member + R"(,"epoch":1.5})",
                           "{" + a_member + R"(,"epoch":"1"})",
                           "{" + a_member + R"(,"epoch":18446744073709551616})",
                           "{" + a_member + R"(,"wire_version":4294967296})",
                           "{" + a_member + R"(,"leaving":1})",
                           "{" + a_member + R"(,"node":null})",
                           "{" + a_member + R"(,"node":")" + std::string(65, 'x') + "\"}",
                           R"({"incarnation":"i","address":")" + std::string(257, 'x') + "\"}",
                           "{" + a_member + R"(,"x":")" + std::string(5000, 'x') + "\"}",
                           "{" + a_member + ",\"node\":\"\xff\"}",
                           std::string(4000, '['),
                           std::string("\0\0\0", 3)}) {
    CAPTURE(text);
    CHECK_FALSE(read_member(text));
  }
}

TEST_CASE("a view is read as it was written, sorted") {
  cluster_view view{.epoch = 9,
                    .members = {{"a:1", "i", false}, {"b:1", "j", true}},
                    .before = {{"a:1", "i", false}}};
  CHECK(read_view(view_json(view)) == view);
  auto shuffled = view;
  std::swap(shuffled.members[0], shuffled.members[1]);
  CHECK(read_view(view_json(shuffled)) == view);
  CHECK(read_view(R"({"epoch":1})") == cluster_view{.epoch = 1});

  cluster_view full{.epoch = UINT64_MAX};
  for (std::size_t i = 0; i < max_members; ++i)
    full.members.push_back(
        {std::to_string(i) + std::string(250, 'x'), std::string(64, 'i'), i % 2 == 0});
  std::sort(full.members.begin(), full.members.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  full.before = full.members;
  CHECK(read_view(view_json(full)) == full);
  full.members.push_back({"z", "i", false});
  CHECK_FALSE(read_view(view_json(full)));
}

TEST_CASE("what is no view is not read") {
  const auto with = [](const std::string& members) {
    return R"({"epoch":1,"members":)" + members + "}";
  };
  CHECK(read_view(with("[{" + a_member + "}]")));
  for (const std::string& text :
       {std::string{"7"}, std::string{R"({"epoch":"x"})"}, with("{}"), with("[1]"), with("[{}]"),
        with("[{" + a_member + "},{" + a_member + "}]"),
        with("[{" + a_member + R"(,"leaving":"no"}])"),
        with("[{\"address\":\"\",\"incarnation\":\"i\"}]"),
        R"({"epoch":1,"before":[{)" + a_member + "},{" + a_member + "}]}"}) {
    CAPTURE(text);
    CHECK_FALSE(read_view(text));
  }
}
