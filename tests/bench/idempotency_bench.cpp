// What idempotency keys cost the journal, and what reading them back costs a start.
//   idempotency_bench DIR [MEGABYTES [BODY_BYTES]]
#include "actors/idempotency/idempotency_index.hpp"
#include "storage/journal/idempotency_rows.hpp"
#include "storage/journal/journal.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <random>

using namespace penstock;

namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Fills a journal in commits of 64 rows of one event; gives the events a second.
double fill(const journal_options& options, std::uint64_t bytes, std::size_t body_bytes,
            bool keyed) {
  auto log = journal::open(options);
  if (!log) std::exit((std::fprintf(stderr, "%s\n", log.error().message.c_str()), 1));
  std::mt19937_64 random{1};
  const std::string body(body_bytes, 'x');
  auto seq = (*log)->next_seq();
  std::uint64_t events = 0;
  const auto begin = std::chrono::steady_clock::now();
  while ((*log)->catalog()->bytes() < bytes) { // not at all if an earlier run filled it
    for (int row = 0; row < 64; ++row, ++events) {
      event_block block;
      block.first_seq = seq++;
      block.time_ms = wall_ms();
      block.stream = "default";
      block.push(body, "application/json", 7);
      if (keyed) block.keys.push_back({{random(), random()}, random(), 0, 1});
      if (auto done = (*log)->append(block); !done)
        std::exit((std::fprintf(stderr, "%s\n", done.error().message.c_str()), 1));
    }
    if (!(*log)->commit()) std::exit(1);
    if ((*log)->wants_rotation() && !(*log)->rotate()) std::exit(1);
  }
  return static_cast<double>(events) / seconds_since(begin);
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 2)
    return std::fprintf(stderr, "usage: %s DIR [MEGABYTES [BODY_BYTES]]\n", argv[0]), 64;
  const std::uint64_t bytes = (argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1024) << 20;
  const std::size_t body_bytes = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 300;
  journal_options options;
  for (const bool keyed : {false, true}) {
    options.dir = std::filesystem::path{argv[1]} / (keyed ? "keyed" : "plain");
    std::printf("%s: %.0f events/s written\n", keyed ? "keyed" : "plain",
                fill(options, bytes, body_bytes, keyed));
    auto begin = std::chrono::steady_clock::now();
    auto cpu = cpu_seconds();
    auto log = journal::open(options);
    if (!log) return 1;
    const auto opened = seconds_since(begin), opened_cpu = cpu_seconds() - cpu;
    cpu = cpu_seconds();
    begin = std::chrono::steady_clock::now();
    idempotency_index index{10'000'000, 86'400'000};
    std::uint64_t keys = 0;
    for (const auto& segment : (*log)->catalog()->list()) {
      if (segment.keys == 0) continue;
      if (!visit_records(segment.path, 0,
                         [&](const auto& one) { index.insert(one, wall_ms()), ++keys; }))
        return 1;
    }
    std::printf(
        "%s: journal opened in %.2f s (CPU %.2f s), %llu keys read in %.2f s (CPU %.2f s)\n",
        keyed ? "keyed" : "plain", opened, opened_cpu, static_cast<unsigned long long>(keys),
        seconds_since(begin), cpu_seconds() - cpu);
  }
}
