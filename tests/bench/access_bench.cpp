// What it costs to find an API key's account: ns of CPU for the form's check, the keyed hash and
// the look-up, over keys drawn at random from the table and over one; what a change of one key
// costs; how long the store takes to load. Usage: access_bench [keys, default 100000]
#include "actors/accounts/account_book.hpp"
#include "storage/stores/account_store.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

using namespace penstock;

namespace {

// CPU time, so that what else runs on the machine counts less.
double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

double ns_since(double begin) {
  return cpu_ns() - begin;
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

template <class Work>
void measure(const char* what, std::size_t rounds, Work work) {
  std::size_t found = 0;
  double best = 1e300;
  for (int repeat = 0; repeat < 5; ++repeat) {
    found = 0;
    const auto begin = cpu_ns();
    for (std::size_t i = 0; i < rounds; ++i)
      found += work(i);
    best = std::min(best, ns_since(begin) / static_cast<double>(rounds));
  }
  std::printf("  %-52s %8.1f ns  (%zu of %zu)\n", what, best, found, rounds);
}

// Scatters a counter over the keys, so that the caches can't guess.
std::size_t scattered(std::size_t i, std::size_t below) {
  return static_cast<std::size_t>((i * 0x9e3779b97f4a7c15ull) >> 20) % below;
}

void run(std::size_t count, const std::filesystem::path& dir) {
  const key_hasher hash{"a secret of some length, as clusters have"};
  std::vector<std::string> keys;
  account_records records;
  for (std::size_t i = 0; i < count; ++i) {
    keys.push_back(*make_api_key());
    key_record record;
    record.id = *make_key_id();
    record.version = i + 1;
    record.account = "account-" + std::to_string(i / 2);
    record.plan = "pro";
    record.hash = hash(keys.back());
    record.shown = keys.back().substr(0, api_key_shown_size);
    record.created_ms = 1'790'000'000'000;
    records.keys.push_back(std::move(record));
  }
  auto begin = cpu_ns();
  {
    auto store = *account_store::open(dir);
    if (const auto saved = store->save(records); !saved) std::puts(saved.error().message.c_str());
  }
  std::printf("%zu keys: saved in %.0f ms", count, ns_since(begin) / 1e6);
  records = {};
  const auto before = resident_bytes();
  begin = cpu_ns();
  auto loaded = *(*account_store::open(dir))->load();
  const double load_ms = ns_since(begin) / 1e6;
  begin = cpu_ns();
  account_book book{std::move(loaded), {{"pro", {}}}, [](std::string_view, std::string_view name) {
                      return std::hash<std::string_view>{}(name);
                    }};
  std::printf(", loaded in %.0f ms, indexed in %.0f ms; %.0f resident bytes a key\n", load_ms,
              ns_since(begin) / 1e6,
              static_cast<double>(resident_bytes() - before) / static_cast<double>(count));

  const auto table = book.access();
  constexpr std::size_t rounds = 200'000;
  // In the order of the visits, as a socket's buffer has a key at hand already.
  std::vector<key_hash> hashes;
  std::string at_hand;
  for (std::size_t i = 0; i < rounds; ++i) {
    const auto& key = keys[scattered(i, count)];
    hashes.push_back(hash(key));
    at_hand += key;
  }
  const auto key_at = [&](std::size_t i) {
    return std::string_view{at_hand.data() + i * api_key_size, api_key_size};
  };
  measure("form of a key", rounds, [&](std::size_t i) { return is_api_key(key_at(i % 64)); });
  measure("keyed hash", rounds, [&](std::size_t i) { return hash(key_at(i % 64))[0] < 255; });
  measure("look-up by hash, one key", rounds,
          [&](std::size_t) { return table->find(hashes[0]) != nullptr; });
  measure("look-up by hash, keys at random", rounds,
          [&](std::size_t i) { return table->find(hashes[i]) != nullptr; });
  const auto whole = [&](std::string_view key) {
    // The checksum only tells what is wrong with a key that was not found.
    if (key.size() != api_key_size || !key.starts_with(api_key_prefix)) return false;
    const auto* entry = table->find(hash(key));
    return entry && may_use(*entry, "default", "", {}, 1) == restriction::none;
  };
  measure("all of it, one key", rounds, [&](std::size_t) { return whole(key_at(0)); });
  measure("all of it, keys at random", rounds, [&](std::size_t i) { return whole(key_at(i)); });
  const std::string unknown = *make_api_key();
  measure("all of it, a well-formed key that is not known", rounds,
          [&](std::size_t) { return whole(unknown); });

  bool more = false;
  const auto some = book.keys("", "", std::min<std::size_t>(count, 4'000), more);
  double worst = 0;
  begin = cpu_ns();
  for (auto record : some) {
    const auto one = cpu_ns();
    record.version = book.next_version(1);
    record.revoked_ms = 1;
    book.apply({{record}, {}});
    worst = std::max(worst, ns_since(one));
  }
  std::printf("  a change of one key: mean %.1f us, slowest (a merge) %.2f ms\n",
              ns_since(begin) / 1e3 / static_cast<double>(some.size()), worst / 1e6);
}

} // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
  std::string dir = (std::filesystem::temp_directory_path() / "access-bench-XXXXXX").string();
  if (count == 0 || mkdtemp(dir.data()) == nullptr) {
    std::fprintf(stderr, "usage: access_bench [keys]\n");
    return 64;
  }
  run(count, dir);
  std::filesystem::remove_all(dir);
  return 0;
}
