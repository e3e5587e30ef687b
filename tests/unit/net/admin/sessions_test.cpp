#include "net/admin/sessions.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace penstock;

TEST_CASE("a session lives until it ends", "[sessions]") {
  admin_sessions sessions;
  const auto life_ms = std::chrono::milliseconds{admin_session_life}.count();
  const auto a = sessions.begin(1'000), b = sessions.begin(2'000);
  CHECK(a.size() == 64);
  CHECK(a != b);
  CHECK(sessions.knows(a, 1'000));
  CHECK(sessions.knows(a, 999 + life_ms));
  CHECK_FALSE(sessions.knows(a, 1'000 + life_ms));
  CHECK(sessions.knows(b, 1'000 + life_ms));
  CHECK_FALSE(sessions.knows("", 1'000));
  CHECK_FALSE(sessions.knows(a.substr(1), 1'000));
  sessions.end(b);
  CHECK_FALSE(sessions.knows(b, 2'000));
  CHECK(sessions.knows(a, 2'000));
}

TEST_CASE("of too many sessions the oldest ends", "[sessions]") {
  admin_sessions sessions;
  std::vector<std::string> all;
  for (std::size_t i = 0; i < max_admin_sessions; ++i)
    all.push_back(sessions.begin(static_cast<std::int64_t>(i)));
  CHECK(sessions.knows(all[0], 100));
  sessions.begin(100);
  CHECK(sessions.count() == max_admin_sessions);
  CHECK_FALSE(sessions.knows(all[0], 100));
  CHECK(sessions.knows(all[1], 100));
}

TEST_CASE("wrong tokens in a form are counted", "[sessions]") {
  admin_sessions sessions;
  std::int64_t now_ms = 5'000;
  for (std::uint32_t i = 0; i < max_wrong_logins; ++i) {
    REQUIRE(sessions.may_log_in(now_ms));
    sessions.note_wrong_login(now_ms);
  }
  CHECK_FALSE(sessions.may_log_in(now_ms));
  CHECK_FALSE(sessions.may_log_in(now_ms + 999));
  CHECK(sessions.may_log_in(now_ms + 1'000));
  sessions.note_wrong_login(now_ms + 1'000);
  CHECK_FALSE(sessions.may_log_in(now_ms + 1'000));
  CHECK(sessions.may_log_in(now_ms + 60'000));
}

TEST_CASE("the cookie is for this plane alone", "[sessions]") {
  CHECK(session_cookie_name(8081) == "penstock_session_8081");
  const auto plain = session_cookie(8081, "abc", false);
  CHECK(plain == "penstock_session_8081=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200");
  CHECK(session_cookie(8081, "abc", true).ends_with("; Secure"));
  CHECK(session_cookie(8081, "", false).find("Max-Age=0") != std::string::npos);
  const std::string header = "a=b; penstock_session_80=x;penstock_session_8081=y; c";
  CHECK(cookie_in(header, "penstock_session_8081") == "y");
  CHECK(cookie_in(header, "penstock_session_80") == "x");
  CHECK(cookie_in(header, "penstock_session_8") == "");
  CHECK(cookie_in("", "a") == "");
}
