// What counting usage costs a request: ns of CPU time for adding it up in a tally, and for all that
// a front end does for it, with one client and with many.
#include "net/clients/identity.hpp"
#include "net/ingest/usage_notes.hpp"

#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

using namespace penstock;

namespace {

constexpr std::size_t requests = 8'000'000;
constexpr std::size_t turn = 32;           // requests in a batch
constexpr std::size_t hand_over = 100'000; // requests between two hand-overs
constexpr const char* title = "%-52s %7.1f ns a request\n";

struct client {
  std::string account, key, address, referer;
};

std::vector<client> make_clients(std::size_t count) {
  std::vector<client> all;
  for (std::size_t i = 0; i < count; ++i) {
    const auto n = std::to_string(i);
    const auto byte = [i](unsigned shift) { return static_cast<char>(i >> shift); };
    all.push_back({"account-" + n,
                   "key_" + n + "abcdefghij",
                   {10, byte(16), byte(8), byte(0)},
                   "https://www.site-" + n + ".example"});
  }
  return all;
}

// Of this thread: what else the machine does must not count.
double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

template <class Work>
double ns_of(Work&& work) {
  const auto begin = cpu_ns();
  work();
  return (cpu_ns() - begin) / static_cast<double>(requests);
}

// Which client sends request `i`: in no order.
std::size_t draw(std::size_t i, std::size_t count) {
  return (i * 0x9e3779b97f4a7c15 >> 20) % count;
}

void measure(std::size_t count) {
  const auto clients = make_clients(count);
  const usage_hasher hash;
  const auto id = [&](std::string_view text) { return usage_id{hash(text), text}; };
  std::vector<usage_ids> ids;
  for (const auto& one : clients)
    ids.push_back({id(one.account), id(one.key), id(one.address), id(one.referer), id("default")});
  const usage_counts counts{1, 1, 300, 0};
  std::uint64_t taken = 0;

  usage_tally tally;
  const auto adding = ns_of([&] {
    for (std::size_t i = 0; i < requests; ++i) {
      tally.add(ids[draw(i, count)], counts);
      if (i % hand_over == hand_over - 1) taken += tally.take(0).size();
    }
  });
  usage_notes notes;
  const auto all = ns_of([&] {
    for (std::size_t i = 0; i < requests; i += turn) {
      for (std::size_t r = 0; r < turn; ++r) {
        const auto& from = clients[draw(i + r, count)];
        // The hash of an address is known since its connection was taken.
        notes.add({id(from.account),
                   id(from.key),
                   {ids[draw(i + r, count)][2].hash, from.address},
                   id(origin_of(from.referer)),
                   id("default")});
      }
      for (std::size_t r = 0; r < turn; ++r)
        tally.add(notes[r], counts);
      notes.clear();
      if (i % hand_over == 0) taken += tally.take(0).size();
    }
  });
  std::printf("%zu client(s), %llu entries handed over\n", count,
              static_cast<unsigned long long>(taken));
  std::printf(title, "  a tally's add() in all five dimensions", adding);
  std::printf(title, "  hashing four texts, noting and adding", all);
}

} // namespace

int main() {
  for (const std::size_t count : {1u, 100u, 4000u, 100'000u})
    measure(count);
  return 0;
}
