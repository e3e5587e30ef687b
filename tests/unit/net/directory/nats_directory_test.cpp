#include "actors/cluster/cluster_settings.hpp"
#include "net/directory/nats_directory.hpp"
#include "net/directory/nats_session.hpp"
#include "tests/unit/net/nats_process.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>

using namespace penstock;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using test::nats_process;

namespace {

using directory_clock = std::chrono::steady_clock;

/// Much longer than anything here takes: no test waits for it unless it fails.
constexpr auto directory_patience = 60s;

member_record directory_member(std::string address, std::uint64_t epoch = 0) {
  return {.address = std::move(address),
          .incarnation = "i1",
          .node = "a",
          .version = "1.2.3",
          .wire_version = 3,
          .epoch = epoch};
}

cluster_view directory_view(std::uint64_t epoch) {
  return {.epoch = epoch, .members = {{.address = "127.0.0.1:1", .incarnation = "i1"}}};
}

/// One node's directory, and what it told, as words.
class watched_directory {
 public:
  explicit watched_directory(const nats_settings& settings, const std::string& cluster = "dev") {
    auto made = make_nats_directory(settings, cluster, "penstock test");
    REQUIRE(made);
    directory_ = std::move(*made);
  }
  directory* operator->() { return directory_.get(); }

  result<void> open() {
    return directory_->open(
        {.member =
             [this](member_record m, std::uint64_t revision) {
               member_revision_ = revision;
               note("member " + m.address + " " + std::to_string(m.epoch));
             },
         .member_gone = [this](std::string address) { note("gone " + address); },
         .view =
             [this](cluster_view view, std::uint64_t revision) {
               note("view " + std::to_string(view.epoch), revision);
             },
         .record = [this](std::string key,
                          std::string value) { note("record " + key + "=" + value); },
         .watching = [this] { note("watching"); },
         .away = [this] { note("away"); }});
  }
  /// JetStream needs a moment after the server took its first connection.
  void open_in_time() {
    const auto deadline = directory_clock::now() + directory_patience;
    for (auto opened = open(); !opened; opened = open()) {
      INFO(opened.error());
      REQUIRE(directory_clock::now() < deadline);
      std::this_thread::sleep_for(10ms);
    }
    wait_for("watching");
  }

  /// Until it told this, after what was waited for before; gives all that was told in between, too.
  std::vector<std::string> wait_for(const std::string& what) {
    std::unique_lock lock{mutex_};
    auto found = told_.end();
    const bool came = changed_.wait_for(lock, directory_patience, [&] {
      found = std::find(told_.begin() + static_cast<std::ptrdiff_t>(seen_), told_.end(), what);
      return found != told_.end();
    });
    CAPTURE(what, told_);
    REQUIRE(came);
    std::vector<std::string> since{told_.begin() + static_cast<std::ptrdiff_t>(seen_), found + 1};
    seen_ += since.size();
    return since;
  }
  /// Of the member that was told last.
  std::uint64_t member_revision() const { return member_revision_; }
  std::uint64_t revision() {
    const std::lock_guard lock{mutex_};
    return revision_;
  }

 private:
  void note(std::string what, std::uint64_t revision = 0) {
    const std::lock_guard lock{mutex_};
    if (revision != 0) revision_ = revision;
    told_.push_back(std::move(what));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> told_;
  std::size_t seen_ = 0;
  std::uint64_t revision_ = 0;
  std::atomic<std::uint64_t> member_revision_{0};
  std::unique_ptr<directory> directory_; // last: its thread ends first
};

nats_settings settings_for(const nats_process& server) {
  nats_settings settings;
  settings.url = server.url();
  return settings;
}

/// Until a call is done, which fails while the server is away.
template <class Call>
void until_done(Call call) {
  const auto deadline = directory_clock::now() + directory_patience;
  for (auto done = call(); !done; done = call()) {
    INFO(done.error());
    REQUIRE(directory_clock::now() < deadline);
    std::this_thread::sleep_for(10ms);
  }
}

using told_words = std::vector<std::string>;

} // namespace

TEST_CASE("two nodes see each other's members, views and records in order", "[nats_directory]") {
  nats_process server;
  watched_directory a{settings_for(server)}, b{settings_for(server)};
  a.open_in_time();
  b.open_in_time();
  for (std::uint64_t epoch = 1; epoch <= 20; ++epoch)
    REQUIRE(a->renew(directory_member("127.0.0.1:1", epoch)));
  CHECK(a->renew(directory_member("[::1]:2", 5)).value() == 0); // there is no view yet
  const auto seen = b.wait_for("member [::1]:2 5");
  REQUIRE(seen.size() == 21);
  for (std::uint64_t epoch = 1; epoch <= 20; ++epoch)
    CHECK(seen[epoch - 1] == "member 127.0.0.1:1 " + std::to_string(epoch));

  REQUIRE(b->leave("[::1]:2"));
  CHECK(b.wait_for("gone [::1]:2") == told_words{"gone [::1]:2"});
  REQUIRE(a->put_record("key.1", "{}"));
  REQUIRE(a->put_record("plan.a b", "{\"x\":1}"));
  b.wait_for("record plan.a b={\"x\":1}");
  REQUIRE(a->put_record("key.1", ""));
  b.wait_for("record key.1=");
  CHECK_FALSE(a->put_record("key.2", std::string(70'000, 'x')));

  // One who comes later is told what there is, and nothing else.
  watched_directory c{settings_for(server)};
  REQUIRE(c.open());
  auto told = c.wait_for("watching");
  std::sort(told.begin(), told.end());
  CHECK(told == told_words{"gone [::1]:2", "member 127.0.0.1:1 20",
                           "record key.1=", "record plan.a b={\"x\":1}", "watching"});

  // Another cluster has buckets of its own.
  watched_directory other{settings_for(server), "dev.eu"};
  REQUIRE(other.open());
  CHECK(other.wait_for("watching") == told_words{"watching"});
}

TEST_CASE("of two proposals with one revision the first wins", "[nats_directory]") {
  nats_process server;
  watched_directory a{settings_for(server)}, b{settings_for(server)};
  a.open_in_time();
  b.open_in_time();
  const auto agree = [&](watched_directory& first, watched_directory& second, std::uint64_t epoch) {
    const auto last = first.revision();
    const auto won = first->propose(directory_view(epoch), last);
    REQUIRE(won);
    CHECK(*won);
    const auto lost = second->propose(directory_view(epoch + 100), last);
    REQUIRE(lost);
    CHECK_FALSE(*lost);
    for (auto* one : {&first, &second})
      CHECK(one->wait_for("view " + std::to_string(epoch)).size() == 1);
    CHECK(first.revision() == second.revision());
  };
  agree(a, b, 1);
  agree(b, a, 2);
  agree(a, b, 3);
}

TEST_CASE("a directory outlives its server", "[nats_directory]") {
  nats_process server;
  watched_directory a{settings_for(server)}, b{settings_for(server)};
  a.open_in_time();
  b.open_in_time();
  REQUIRE(a->renew(directory_member("127.0.0.1:1", 1)));
  REQUIRE(*a->propose(directory_view(1), 0));
  for (auto* one : {&a, &b})
    one->wait_for("view 1");
  REQUIRE(a->put_record("key.1", "1"));
  for (auto* one : {&a, &b})
    one->wait_for("record key.1=1");
  const auto revision = a.revision();

  server.kill();
  a.wait_for("away");
  b.wait_for("away");
  const auto away = a->renew(directory_member("127.0.0.1:1", 2));
  REQUIRE_FALSE(away);
  CHECK(away.error().code == errc::unavailable);

  SECTION("which comes back with its data") {
    server.start();
    for (auto* one : {&a, &b}) {
      auto told = one->wait_for("watching");
      std::sort(told.begin(), told.end());
      CHECK(told == told_words{"member 127.0.0.1:1 1", "record key.1=1", "view 1", "watching"});
    }
    CHECK(b.revision() == revision);
    CHECK(*b->propose(directory_view(2), revision));
    a.wait_for("view 2");
  }
  SECTION("which comes back without") {
    server.forget();
    server.start();
    for (auto* one : {&a, &b})
      CHECK(one->wait_for("watching") == told_words{"watching"});
    // Whoever is first makes a new one of the view that all of them know.
    const auto won = b->propose(directory_view(2), revision);
    REQUIRE(won);
    CHECK(*won);
    const auto lost = a->propose(directory_view(3), revision);
    REQUIRE(lost);
    CHECK_FALSE(*lost);
    a.wait_for("view 2");
  }
  until_done([&] { return a->renew(directory_member("127.0.0.1:1", 3)); });
  b.wait_for("member 127.0.0.1:1 3");
  CHECK(a->renew(directory_member("127.0.0.1:1", 4)).value() == b.revision());
}

TEST_CASE("a bucket that is deleted is made again", "[nats_directory]") {
  nats_process server;
  watched_directory a{settings_for(server)};
  a.open_in_time();
  REQUIRE(*a->propose(directory_view(1), 0));
  a.wait_for("view 1");
  auto connected = connect_to_nats({.url = server.url(), .shown = {}}, {}, "test", {5s, 5s});
  REQUIRE(connected);
  jsCtx* made = nullptr;
  REQUIRE(natsConnection_JetStream(&made, connected->get(), nullptr) == NATS_OK);
  const nats_ptr<jsCtx> context{made};
  const std::string subject = "$KV.penstock_dev_members.";

  // Values that are not ours, and a view that somebody deleted, change nothing.
  for (const char* key : {"member.x", "member.=41", "view", "something.else", "member.a=3A1"})
    REQUIRE(js_Publish(nullptr, made, (subject + key).c_str(), "[1", 2, nullptr, nullptr) ==
            NATS_OK);
  REQUIRE(a->renew(directory_member("127.0.0.1:1", 1)));
  CHECK(a.wait_for("member 127.0.0.1:1 1").size() == 1);
  CHECK(*a->propose(directory_view(2), a.revision()));
  a.wait_for("view 2");

  REQUIRE(js_DeleteStream(made, "KV_penstock_dev_members", nullptr, nullptr) == NATS_OK);
  CHECK_FALSE(a->renew(directory_member("127.0.0.1:1", 2)));
  a.wait_for("away");
  a.wait_for("watching");
  until_done([&] { return a->renew(directory_member("127.0.0.1:1", 3)); });
  a.wait_for("member 127.0.0.1:1 3");

  // One that nothing is written to is missed all the same.
  REQUIRE(js_DeleteStream(made, "KV_penstock_dev_accounts", nullptr, nullptr) == NATS_OK);
  a.wait_for("away");
  a.wait_for("watching");
  until_done([&] { return a->put_record("key.1", "1"); });
  a.wait_for("record key.1=1");
}

TEST_CASE("a record is forgotten only as it was known", "[nats_directory]") {
  nats_process server;
  watched_directory a{settings_for(server)}, b{settings_for(server)};
  a.open_in_time();
  b.open_in_time();
  REQUIRE(a->renew(directory_member("127.0.0.1:1", 1)));
  b.wait_for("member 127.0.0.1:1 1");
  const auto known = b.member_revision();
  REQUIRE(a->renew(directory_member("127.0.0.1:1", 2)));
  const auto refused = b->forget("127.0.0.1:1", known);
  REQUIRE(refused);
  CHECK_FALSE(*refused); // it lives
  b.wait_for("member 127.0.0.1:1 2");
  const auto done = b->forget("127.0.0.1:1", b.member_revision());
  REQUIRE(done);
  CHECK(*done);
  a.wait_for("gone 127.0.0.1:1");
  REQUIRE(a->renew(directory_member("127.0.0.1:1", 3)));
  b.wait_for("member 127.0.0.1:1 3");
}

TEST_CASE("calls fail in time while the server hangs", "[nats_directory]") {
  nats_process server;
  watched_directory a{settings_for(server)}, late{settings_for(server)};
  a.open_in_time();
  server.stop();
  // It waits for the server's word, and not for long: twice as long as it says would be a bug.
  const auto bound = 2 * (nats_session::call_timeout_ms + nats_session::write_timeout_ms);
  const auto begun = directory_clock::now();
  CHECK_FALSE(a->renew(directory_member("127.0.0.1:1", 1)));
  CHECK(directory_clock::now() - begun < bound);
  CHECK_FALSE(late.open());
  a.wait_for("away");
  const auto proposed = a->propose(directory_view(1), 0);
  CHECK_FALSE(proposed);
  server.go_on();
  a.wait_for("watching");
  until_done([&] { return a->renew(directory_member("127.0.0.1:1", 2)); });
  a.wait_for("member 127.0.0.1:1 2");
  late.open_in_time();
}

TEST_CASE("a directory says why it can't be opened", "[nats_directory]") {
  nats_process server{{"--user", "me", "--pass", "right"}};
  auto settings = settings_for(server);
  settings.login.username = "me";
  settings.login.password = "wrong";
  const auto refused = watched_directory{settings}.open();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::unavailable);
  CHECK_THAT(refused.error().message,
             Contains(server.url() + ": ") && Contains("refused our credentials"));
  CHECK_THAT(refused.error().message, !Contains("wrong"));
  settings.login.password = "right";
  watched_directory{settings}.open_in_time();

  server.kill();
  const auto gone = watched_directory{settings}.open();
  REQUIRE_FALSE(gone);
  CHECK_THAT(gone.error().message, Contains("can't connect"));
}

TEST_CASE("a directory's settings are checked", "[nats_directory]") {
  const auto fault = [](nats_settings settings) {
    const auto made = make_nats_directory(settings, "dev", "test");
    return made ? "" : made.error().message;
  };
  nats_settings settings;
  CHECK(fault(settings) == "");
  settings.login.password = "secret";
  CHECK(fault(settings) == "cluster.nats_username: is missing, for there is a password");
  settings.url = "nats://a:secret@";
  CHECK(fault(settings) ==
        "cluster.nats_url: is not nats://HOST:PORT or tls://HOST:PORT, several with commas");
}
