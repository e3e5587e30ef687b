// What one admission costs, and one client weighs: ns a check and bytes a client for plans of 1, 2
// and 6 limits, over clients drawn at random and over one hot client. A check is a request as the
// limiter decides it: its plan, its clients' places in the tables, all limits asked and charged.
// The last case begins with an API key, one of 100,000, as the front end and the limiter have it.
// Usage: limiter_bench [clients, default 1000000] [json]
#include "actors/accounts/access_table.hpp"
#include "actors/limiter/limiter.hpp"
#include "actors/limits/limit_messages.hpp"
#include "storage/stores/api_key.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string>
#include <unistd.h>

using namespace penstock;

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::size_t checks_per_round = 2'000'000;
constexpr std::size_t items_per_request = 64; // a turn's
constexpr std::size_t api_keys = 100'000;

// A keyed hash stands here as a bijection of a counter, so that no list of clients is needed.
std::uint64_t client_hash(std::uint64_t n) {
  std::uint64_t z = n * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Six limits, of all algorithms but the interval; the mixed plan has them in all three scopes, and
// one of bytes.
plan plan_of(std::size_t count, bool mixed) {
  std::vector<limit> all{
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
  all.resize(count);
  if (mixed) {
    all[1].scope = all[3].scope = limit_scope::key;
    all[2].scope = limit_scope::stream;
    all[4].cost = limit_cost::byte;
    all[4].amount = 50'000'000;
  }
  return {"bench", std::move(all)};
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

admit_item item_of(std::uint64_t n, const plan& rules) {
  return {.client = client_hash(n),
          .key = client_hash(n + (1ull << 40)),
          .plan = plan_id(rules.name),
          .stream = static_cast<std::uint32_t>(n % 3),
          .events = 1,
          .bytes = 300};
}

struct outcome {
  double ns = 0;
  double cpu_ns = 0;
  double admitted = 0;
};

// Checks `step_ns` apart. `item(i)` is the i-th.
template <class Item>
outcome measure(limiter_state& deciding, std::int64_t step_ns, std::int64_t& now, Item item) {
  std::uint64_t granted = 0;
  admit_request request;
  const auto begin = std::chrono::steady_clock::now();
  const double cpu_begin = cpu_ns();
  for (std::size_t i = 0; i < checks_per_round; i += items_per_request) {
    now += step_ns * static_cast<std::int64_t>(items_per_request);
    request.items.clear();
    for (std::size_t k = i; k < i + items_per_request; ++k)
      request.items.push_back(item(k));
    for (const verdict& each : deciding.decide(request, {}).verdicts)
      granted += each.granted;
  }
  const double cpu = cpu_ns() - cpu_begin;
  const std::chrono::duration<double, std::nano> passed = std::chrono::steady_clock::now() - begin;
  return {passed.count() / checks_per_round, cpu / checks_per_round,
          static_cast<double>(granted) / static_cast<double>(checks_per_round)};
}

// `spread` clients in random order (1: the hot one).
outcome measure_clients(limiter_state& deciding, const plan& rules, std::uint64_t spread,
                        std::int64_t step_ns, std::int64_t& now) {
  std::vector<admit_item> items(checks_per_round);
  for (std::size_t i = 0; i < items.size(); ++i)
    items[i] = item_of(client_hash(i) % spread, rules);
  return measure(deciding, step_ns, now, [&](std::size_t i) { return items[i]; });
}

/// Keys of accounts that are the first clients of all.
class key_ring {
 public:
  key_ring() {
    std::vector<access_rows::row> rows;
    for (std::size_t i = 0; i < api_keys; ++i) {
      texts_ += *make_api_key();
      key_record record;
      record.id = *make_key_id();
      record.account = std::to_string(i);
      record.plan = "bench";
      record.hash = hash_(text(i));
      rows.push_back({record.hash, make_access_entry(record, [](auto kind, auto name) {
                        const auto n = std::strtoull(std::string{name}.c_str(), nullptr, 10);
                        return client_hash(kind == "account" ? n : n + (1ull << 40));
                      })});
    }
    table_ = access_table{rows};
  }
  std::string_view text(std::size_t i) const {
    return std::string_view{texts_}.substr(i * api_key_size, api_key_size);
  }
  const access_key* find(std::string_view key) const {
    if (!may_be_api_key(key)) return nullptr;
    const auto* entry = table_.find(hash_(key));
    return entry && may_use(*entry, "default", "", {}, 1) == restriction::none ? entry : nullptr;
  }

 private:
  key_hasher hash_{"a secret of some length, as clusters have"};
  std::string texts_;
  access_table table_;
};

// From the text of a key on; `spread` keys in random order. The texts lie one behind the other, as
// in the buffer of a socket.
outcome measure_keys(limiter_state& deciding, const key_ring& keys, std::uint64_t spread,
                     std::int64_t step_ns, std::int64_t& now) {
  std::string texts;
  for (std::size_t i = 0; i < checks_per_round; ++i)
    texts += keys.text(client_hash(i) % spread);
  return measure(deciding, step_ns, now, [&](std::size_t i) {
    const auto* key = keys.find(std::string_view{texts}.substr(i * api_key_size, api_key_size));
    if (!key) std::abort();
    return admit_item{.client = key->client,
                      .key = key->key_client,
                      .plan = key->plan_id,
                      .events = 1,
                      .bytes = 300};
  });
}

struct report {
  bool json = false;
  bool first = true;
  void line(const std::string& plan_name, const char* what, const outcome& result) {
    if (!json) {
      std::printf("  %-44s %7.1f ns, %7.1f ns of CPU  (%.0f%% admitted)\n", what, result.ns,
                  result.cpu_ns, 100 * result.admitted);
      return;
    }
    std::printf("%s{\"plan\":\"%s\",\"case\":\"%s\",\"ns\":%.1f,\"cpu_ns\":%.1f}",
                first ? "" : ",\n", plan_name.c_str(), what, result.ns, result.cpu_ns);
    first = false;
  }
  void memory(const std::string& plan_name, double bytes, double per_limit) {
    if (json)
      std::printf(",\n{\"plan\":\"%s\",\"case\":\"memory\",\"bytes\":%.1f,\"per_limit\":%.1f}",
                  plan_name.c_str(), bytes, per_limit);
  }
};

void run(std::size_t limits, bool mixed, std::size_t clients, report& out) {
  const plan rules = plan_of(limits, mixed);
  const std::string name = std::to_string(limits) + (mixed ? " limits, mixed" : " limits");
  const std::size_t resident_before = resident_bytes();
  auto ledger = std::make_shared<limit_ledger>(std::make_shared<const std::vector<plan>>(1, rules),
                                               8 * clients, std::make_shared<limit_labels>());
  std::int64_t now = 1'700'000'000 * second;
  limiter_state deciding;
  deciding.start({ledger, [&now] { return now; }, std::make_shared<limiter_metrics>(), {}},
                 nullptr);
  std::int64_t worst_ns = 0;
  for (std::size_t i = 0; i < clients; ++i) {
    const admit_item item = item_of(i, rules);
    const auto begin = std::chrono::steady_clock::now();
    ledger->decide(item, {}, now);
    worst_ns = std::max<std::int64_t>(worst_ns, (std::chrono::steady_clock::now() - begin).count());
  }
  const auto each = [clients](std::size_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(clients);
  };
  const double bytes = each(ledger->memory_bytes());
  if (!out.json)
    std::printf("%s, %zu clients: %.1f bytes a client (%.1f a limit), %.1f resident; slowest new "
                "client %.2f ms\n",
                name.c_str(), clients, bytes, bytes / static_cast<double>(limits),
                each(resident_bytes() - resident_before), static_cast<double>(worst_ns) / 1e6);
  out.line(name, "all clients at random, 1 us apart",
           measure_clients(deciding, rules, clients, 1'000, now));
  out.line(name, "one hot client, refused", measure_clients(deciding, rules, 1, 1'000, now));
  out.line(name, "one hot client, within its rate",
           measure_clients(deciding, rules, 1, 60 * second, now));
  if (limits == 6) {
    const key_ring keys;
    out.line(name, "API key and limits, keys at random",
             measure_keys(deciding, keys, api_keys, 1'000, now));
    out.line(name, "API key and limits, one key",
             measure_keys(deciding, keys, 1, 60 * second, now));
  }
  out.memory(name, bytes, bytes / static_cast<double>(limits));

  const auto save_begin = std::chrono::steady_clock::now();
  const std::size_t rows = ledger->take_changed(max_rows_per_save, now).size();
  const std::chrono::duration<double, std::milli> save =
      std::chrono::steady_clock::now() - save_begin;
  now += 100 * 86'400 * second;
  std::int64_t worst_sweep_ns = 0;
  std::size_t sweeps = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (; ledger->size() != 0; ++sweeps) {
    const auto tick = std::chrono::steady_clock::now();
    ledger->sweep(now, sweep_visits);
    worst_sweep_ns =
        std::max<std::int64_t>(worst_sweep_ns, (std::chrono::steady_clock::now() - tick).count());
  }
  const std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - begin;
  if (out.json) return;
  std::printf("  %zu rows gathered for a save in %.2f ms\n", rows, save.count());
  std::printf("  all forgotten in %zu ticks of %zu visits: mean %.3f ms, slowest %.3f ms\n", sweeps,
              sweep_visits, passed.count() / static_cast<double>(sweeps),
              static_cast<double>(worst_sweep_ns) / 1e6);
}

} // namespace

int main(int argc, char** argv) {
  const std::size_t clients = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  if (clients == 0) {
    std::fprintf(stderr, "usage: limiter_bench [clients] [json]\n");
    return 64;
  }
  report out;
  out.json = argc > 2 && std::strcmp(argv[2], "json") == 0;
  if (out.json) std::printf("[");
  for (const std::size_t limits : {1u, 2u, 6u}) {
    run(limits, false, clients, out);
  }
  run(6, true, clients, out);
  if (out.json) std::printf("]\n");
  return 0;
}
