// A journal that can take no more: its cap, or the disk.
#include "tests/unit/actors/journal/journal_world.hpp"

#include <filesystem>

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

TEST_CASE_METHOD(journal_world, "a full journal refuses, and goes on when there is room",
                 "[journal]") {
  start();
  post(front_a, "s");
  run();
  CHECK(told(front_a).ok);
  CHECK_FALSE(node.journal_full.load());

  store->claims_full = true;
  const auto late = post(front_b, "s", 2); // it was under way when the journal became full
  run();
  const auto refused = told(front_b);
  CHECK_FALSE(refused.ok);
  CHECK(refused.tokens == tokens{late});
  CHECK(refused.why.code == errc::journal_full);
  CHECK(node.journal_full.load());
  CHECK_FALSE(node.disk_full.load());
  CHECK(metrics->full.value() == 1);
  CHECK(metrics->commits.value() == 1);

  post(front_b, "s"); // more of them start no second series of looks
  run();
  CHECK_FALSE(told(front_b).ok);
  store->asked_full = 0;
  pass(1s, 10ms);
  CHECK(store->asked_full == 5);
  CHECK(node.journal_full.load());

  store->claims_full = false;
  pass(full_check_interval - 10ms, 10ms);
  CHECK(node.journal_full.load());
  pass(10ms, 10ms);
  CHECK_FALSE(node.journal_full.load());
  CHECK(metrics->full.value() == 0);
  store->asked_full = 0;
  pass(1s, 10ms);
  CHECK(store->asked_full == 0); // it looks no more

  const auto next = post(front_a, "s");
  run();
  CHECK(told(front_a).tokens == tokens{next});
  CHECK(durable("s") == std::vector<std::uint64_t>{1, next});
}

TEST_CASE_METHOD(journal_world, "the commit that fills the journal is the first to say so",
                 "[journal]") {
  start();
  post(front_a, "s");
  scheduler.run_once(); // staged
  store->claims_full = true;
  run();
  CHECK(told(front_a).ok);
  CHECK(node.journal_full.load());
}

TEST_CASE_METHOD(journal_world, "a batch that does not fit leaves those staged before it alone",
                 "[journal]") {
  start();
  post(front_a, "s");
  post(front_b, "s");
  scheduler.run_once();
  store->claims_full = true;
  run();
  CHECK(told(front_a).ok);
  CHECK_FALSE(told(front_b).ok);
  CHECK(durable("s") == range(1, 1));
}

TEST_CASE_METHOD(journal_world, "room comes back when segments are retired", "[journal]") {
  options.max_bytes = 4 << 20;
  start();
  const auto fill = [&] {
    std::size_t taken = 0;
    for (int i = 0; i < 1000 && !node.journal_full.load(); ++i) {
      send(batch(front_a, {{"s", 10, 2000}}));
      run();
      taken += told(front_a).ok ? 1 : 0;
    }
    return taken;
  };
  const auto before = fill();
  CHECK(before > 100);
  CHECK(node.journal_full.load());
  CHECK(store->bytes() <= options.max_bytes);
  CHECK(durable("s").size() == 10 * before);
  send(batch(front_b, {{"s", 100, 4000}}));
  run();
  CHECK(told(front_b).why.code == errc::journal_full);

  auto keeper = segment_keeper::make(store->real(), options);
  require_ok(keeper->retire(store->catalog()->durable_seq(), far_future_ms));
  pass(full_check_interval, 10ms);
  CHECK_FALSE(node.journal_full.load());
  CHECK(metrics->bytes.value() == static_cast<std::int64_t>(store->bytes()));
  CHECK(fill() > 100);
}

TEST_CASE_METHOD(journal_world, "a full disk: the group fails, then one may try", "[journal]") {
  start();
  const bool at_commit = GENERATE(true, false);
  const auto disk_is_full = [&] {
    (at_commit ? store->fail_commit : store->fail_append) = errc::disk_full;
  };
  disk_is_full();
  post(front_a, "s");
  run();
  CHECK(told(front_a).why.code == errc::disk_full);
  CHECK(node.journal_full.load());
  CHECK(node.disk_full.load());
  CHECK(metrics->full.value() == 1);

  for (int i = 0; i < 2; ++i) {
    pass(full_check_interval - 1ms, 1ms);
    CHECK(node.journal_full.load());
    pass(1ms, 1ms);
    CHECK_FALSE(node.journal_full.load()); // only an append can tell
    disk_is_full();
    post(front_a, "s");
    run();
    CHECK_FALSE(told(front_a).ok);
    CHECK(node.journal_full.load());
  }

  store->claims_full = true; // which does not count now
  pass(full_check_interval, 1ms);
  CHECK_FALSE(node.journal_full.load());
  store->claims_full = false;
  const auto next = post(front_a, "s");
  run();
  CHECK(told(front_a).tokens == tokens{next});
  CHECK_FALSE(node.journal_full.load());
  CHECK(durable("s") == range(next, next));

  // The cap later is told as the cap.
  store->claims_full = true;
  post(front_a, "s");
  run();
  CHECK(node.journal_full.load());
  CHECK_FALSE(node.disk_full.load());
}

TEST_CASE_METHOD(journal_world, "an append that hits the cap fails its group as full",
                 "[journal]") {
  start();
  store->fail_append = errc::journal_full;
  post(front_a, "s");
  run();
  CHECK(told(front_a).why.code == errc::journal_full);
  CHECK(node.journal_full.load());
  CHECK_FALSE(node.disk_full.load());
  pass(full_check_interval, 1ms);
  CHECK_FALSE(node.journal_full.load());
}

TEST_CASE_METHOD(journal_world, "expendable streams: refused above one mark, taken below another",
                 "[journal]") {
  settings.max_bytes = 1000;
  settings.scarce_above_bytes = 800;
  settings.scarce_until_bytes = 700;
  start();
  const auto commit_at = [&](std::uint64_t used) {
    store->claims_used = used;
    post(front_a, "s");
    run();
    CHECK(told(front_a).ok); // the journal itself takes them all
    return node.journal_scarce.load();
  };
  CHECK_FALSE(commit_at(0));
  CHECK_FALSE(commit_at(800));
  CHECK(commit_at(801));
  CHECK(metrics->scarce.value() == 1);
  CHECK_FALSE(node.journal_full.load());
  CHECK(commit_at(701)); // between the marks nothing changes
  CHECK_FALSE(commit_at(700));
  CHECK(metrics->scarce.value() == 0);
  CHECK_FALSE(commit_at(800));
  CHECK(commit_at(801));

  // Without a commit, too, as segments are retired.
  store->claims_used = 700;
  CHECK(node.journal_scarce.load());
  pass(full_check_interval, 10ms);
  CHECK_FALSE(node.journal_scarce.load());
  CHECK(metrics->scarce.value() == 0);

  // Full and scarce, they are looked at together, and each ends by itself.
  CHECK(commit_at(900));
  store->claims_full = true;
  post(front_a, "s");
  run();
  CHECK_FALSE(told(front_a).ok);
  CHECK(node.journal_full.load());
  store->asked_full = 0;
  pass(1s, 10ms);
  CHECK(store->asked_full == 5);
  store->claims_full = false;
  pass(full_check_interval, 10ms);
  CHECK_FALSE(node.journal_full.load());
  CHECK(node.journal_scarce.load());
  store->claims_used = 0;
  pass(full_check_interval, 10ms);
  CHECK_FALSE(node.journal_scarce.load());

  // What is there already counts from the start.
  settings.scarce_above_bytes = 1;
  settings.scarce_until_bytes = 0;
  restart();
  CHECK(node.journal_scarce.load());
}

TEST_CASE_METHOD(journal_world, "what is allocated ahead is not used", "[journal]") {
  start();
  send(batch(front_a, {{"s", 10, 2000}}));
  run();
  const auto before = store->used_bytes();
  CHECK(before > 20'000);
  CHECK(before <= store->bytes());
  auto keeper = segment_keeper::make(store->real(), options);
  require_ok(keeper->prepare());
  CHECK(store->used_bytes() == before);
  CHECK(store->bytes() > before);
}

TEST_CASE_METHOD(journal_world, "a journal whose files are gone stores nothing, and says so",
                 "[journal]") {
  start();
  const auto before = post(front_a, "s");
  run();
  CHECK(told(front_a).ok);
  const auto away = dir.path() / "away";
  std::filesystem::rename(options.dir, away);
  pass(place_check_interval, 10ms);
  CHECK(node.journal_failed.load());
  CHECK(metrics->failed.value() == 1);
  CHECK(metrics->failures.value() == 1);
  const auto late = post(front_b, "s", 2);
  run();
  const auto refused = told(front_b);
  CHECK_FALSE(refused.ok);
  CHECK(refused.tokens == tokens{late});
  CHECK(refused.why.code == errc::io);
  pass(10 * place_check_interval, 10ms);
  CHECK(node.journal_failed.load());

  std::filesystem::rename(away, options.dir); // mounted again
  pass(place_check_interval, 10ms);
  CHECK_FALSE(node.journal_failed.load());
  CHECK(metrics->failed.value() == 0);
  const auto after = post(front_b, "s");
  run();
  CHECK(told(front_b).ok);
  CHECK(durable("s") == std::vector<std::uint64_t>{before, after}); // not what was refused
}

TEST_CASE_METHOD(journal_world, "after a write that failed the node is not ready until one may try",
                 "[journal]") {
  start();
  store->fail_commit = errc::io;
  post(front_a, "s");
  run();
  CHECK_FALSE(told(front_a).ok);
  CHECK(node.journal_failed.load());
  SECTION("it may after a while") {
    pass(place_check_interval, 10ms);
    CHECK_FALSE(node.journal_failed.load());
  }
  SECTION("one that was under way and is stored says that it works") {
    post(front_a, "s");
    run();
    CHECK(told(front_a).ok);
    CHECK_FALSE(node.journal_failed.load());
  }
}
