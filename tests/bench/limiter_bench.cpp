// What one admission costs, and one client weighs: ns an admit and bytes a client for plans of 1, 2
// and 6 limits, over clients drawn at random and over one hot client.
// Usage: limiter_bench [clients, default 1000000]
#include "actors/limiter.hpp"

#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <unistd.h>

using namespace penstock;

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::size_t admits_per_round = 4'000'000;

// A keyed hash stands here as a bijection of a counter, so that no list of clients is needed.
std::uint64_t client_hash(std::uint64_t n) {
  std::uint64_t z = n * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

plan plan_of(std::size_t count) {
  const limit all[] = {
      {.name = "burst", .kind = algorithm::gcra, .amount = 20, .window_ns = second, .burst = 40},
      {.name = "minute", .kind = algorithm::fixed_window, .amount = 600, .window_ns = 60 * second},
      {.name = "sliding",
       .kind = algorithm::sliding_window,
       .amount = 5'000,
       .window_ns = 600 * second},
      {.name = "hour", .kind = algorithm::calendar, .amount = 9'000, .unit = calendar_unit::hour},
      {.name = "day", .kind = algorithm::calendar, .amount = 50'000, .unit = calendar_unit::day},
      {.name = "month",
       .kind = algorithm::calendar,
       .amount = 1'000'000,
       .unit = calendar_unit::month},
  };
  return {"bench", {all, all + count}};
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

struct outcome {
  double ns = 0;
  double admitted = 0;
};

// `spread` clients in random order (1: the hot one), `step_ns` apart.
outcome measure(client_table& table, const plan& rules, std::uint64_t spread, std::int64_t step_ns,
                std::int64_t& now) {
  std::uint64_t granted = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < admits_per_round; ++i) {
    now += step_ns;
    const std::uint64_t client = client_hash(client_hash(i) % spread);
    granted += admit(rules, table.find_or_add(client), now, 1).granted;
  }
  const std::chrono::duration<double, std::nano> passed = std::chrono::steady_clock::now() - begin;
  return {passed.count() / admits_per_round,
          static_cast<double>(granted) / static_cast<double>(admits_per_round)};
}

void print(const char* what, const outcome& result) {
  std::printf("  %-44s %7.1f ns  (%.0f%% admitted)\n", what, result.ns, 100 * result.admitted);
}

void run(std::size_t limits, std::size_t clients) {
  const plan rules = plan_of(limits);
  const std::size_t resident_before = resident_bytes();
  const std::size_t allocated_before = allocated_bytes();
  client_table table(limits, clients);
  std::int64_t now = 1'700'000'000 * second;
  std::int64_t worst_ns = 0;
  for (std::size_t i = 0; i < clients; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    admit(rules, table.find_or_add(client_hash(i)), now, 1);
    worst_ns = std::max<std::int64_t>(worst_ns, (std::chrono::steady_clock::now() - begin).count());
  }
  const auto each = [clients](std::size_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(clients);
  };
  std::printf("%zu limit(s), %zu clients: %.1f bytes each by memory_bytes(), %.1f by malloc, "
              "%.1f resident; slowest new client %.2f ms\n",
              limits, table.size(), each(table.memory_bytes()),
              each(allocated_bytes() - allocated_before), each(resident_bytes() - resident_before),
              static_cast<double>(worst_ns) / 1e6);
  print("all clients at random, 1 us apart", measure(table, rules, clients, 1'000, now));
  print("one hot client, refused", measure(table, rules, 1, 1'000, now));
  print("one hot client, within its rate", measure(table, rules, 1, 60 * second, now));

  now += 100 * 86'400 * second;
  std::int64_t worst_sweep_ns = 0;
  std::size_t sweeps = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (; table.size() != 0; ++sweeps) {
    const auto tick = std::chrono::steady_clock::now();
    table.sweep(rules, now, sweep_visits);
    worst_sweep_ns =
        std::max<std::int64_t>(worst_sweep_ns, (std::chrono::steady_clock::now() - tick).count());
  }
  const std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - begin;
  std::printf("  all forgotten in %zu ticks of %zu visits: mean %.3f ms, slowest %.3f ms\n", sweeps,
              sweep_visits, passed.count() / static_cast<double>(sweeps),
              static_cast<double>(worst_sweep_ns) / 1e6);
}

} // namespace

int main(int argc, char** argv) {
  const std::size_t clients = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  if (clients == 0) {
    std::fprintf(stderr, "usage: limiter_bench [clients]\n");
    return 64;
  }
  for (const std::size_t limits : {1u, 2u, 6u}) {
    run(limits, clients);
    malloc_trim(0);
  }
  return 0;
}
