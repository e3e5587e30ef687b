// The check of a request's limits as many do it today: a Lua script in Redis, one round trip a
// request. It finds the key's account and plan, asks six limits and charges them together.
// Usage: bench_redis_check PORT CLIENTS CHECKS DEPTH
// DEPTH checks are under way at once on one connection; 1 is the plain round trip. Prints JSON.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// Like limiter_bench's plan of six: gcra, fixed and sliding windows, and the calendar's three. The
// counters of an account are one hash, so that one command reads and one writes them.
constexpr const char* script = R"lua(
local now = tonumber(ARGV[1])
local account = redis.call('GET', KEYS[1])
if not account then return -1 end
local c = 'c:' .. account
local v = redis.call('HMGET', c, 'tat', 'fs', 'fu', 'ss', 'su', 'sp', 'hs', 'hu', 'ds', 'du',
                     'ms', 'mu')
for i = 1, 12 do v[i] = tonumber(v[i]) or 0 end
local tat = math.max(v[1], now)
if tat - now > 39 / 20 then return 0 end
local fs, fu = v[2], v[3]
if now - fs >= 60 then fs, fu = now, 0 end
if fu >= 600 then return 0 end
local start = now - now % 600
local ss, su, sp = v[4], v[5], v[6]
if start - ss > 600 then su, sp = 0, 0 elseif start > ss then su, sp = 0, su end
if su + sp * (1 - (now - start) / 600) + 1 > 5000 then return 0 end
local hs, hu = now - now % 3600, v[8]
if v[7] < hs then hu = 0 end
if hu >= 9000 then return 0 end
local ds, du = now - now % 86400, v[10]
if v[9] < ds then du = 0 end
if du >= 50000 then return 0 end
local ms, mu = tonumber(ARGV[2]), v[12]
if v[11] < ms then mu = 0 end
if mu >= 1000000 then return 0 end
redis.call('HSET', c, 'tat', tat + 1 / 20, 'fs', fs, 'fu', fu + 1, 'ss', start, 'su', su + 1,
           'sp', sp, 'hs', hs, 'hu', hu + 1, 'ds', ds, 'du', du + 1, 'ms', ms, 'mu', mu + 1)
return 1
)lua";

class connection {
 public:
  explicit connection(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("can't connect to redis-server");
  }
  ~connection() { ::close(fd_); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void add(const std::vector<std::string>& words) {
    out_ += '*' + std::to_string(words.size()) + "\r\n";
    for (const auto& word : words)
      out_ += '$' + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  void send() {
    for (std::size_t at = 0; at < out_.size();) {
      const auto n = ::send(fd_, out_.data() + at, out_.size() - at, MSG_NOSIGNAL);
      if (n <= 0) throw std::runtime_error("redis-server went away");
      at += static_cast<std::size_t>(n);
    }
    out_.clear();
  }
  // A status, an integer, or a bulk text.
  std::string reply() {
    auto text = line();
    if (text[0] == '-') throw std::runtime_error("redis: " + text.substr(1));
    if (text[0] != '$') return text.substr(1);
    const auto size = static_cast<std::size_t>(std::atoi(text.c_str() + 1));
    while (in_.size() - at_ < size + 2)
      receive();
    text = in_.substr(at_, size);
    at_ += size + 2;
    return text;
  }

 private:
  std::string line() {
    for (;;) {
      const auto end = in_.find("\r\n", at_);
      if (end != std::string::npos) {
        auto text = in_.substr(at_, end - at_);
        at_ = end + 2;
        return text;
      }
      receive();
    }
  }
  void receive() {
    in_.erase(0, at_);
    at_ = 0;
    char bytes[65536];
    const auto n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n <= 0) throw std::runtime_error("redis-server went away");
    in_.append(bytes, static_cast<std::size_t>(n));
  }

  int fd_;
  std::string out_;
  std::string in_;
  std::size_t at_ = 0;
};

std::uint64_t mixed(std::uint64_t n) {
  n = (n + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
  return n ^ (n >> 29);
}

std::string key_name(std::uint64_t n) {
  return "k:psk_live_" + std::to_string(mixed(n));
}

double cpu_s() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

int run(std::uint16_t port, std::uint64_t clients, std::uint64_t checks, std::uint64_t depth) {
  using clock = std::chrono::steady_clock;
  connection redis{port};
  redis.add({"SCRIPT", "LOAD", script});
  redis.send();
  const auto sha = redis.reply();
  for (std::uint64_t n = 0; n < clients;) {
    const auto until = std::min(n + 1000, clients);
    for (auto i = n; i < until; ++i)
      redis.add({"SET", key_name(i), std::to_string(i)});
    redis.send();
    for (; n < until; ++n)
      redis.reply();
  }
  std::vector<double> took_us;
  std::uint64_t admitted = 0;
  const double cpu_before = cpu_s();
  const auto begin = clock::now();
  for (std::uint64_t n = 0; n < checks; n += depth) {
    const double now = 1.7e9 + static_cast<double>(n) * 1e-6;
    const auto asked = clock::now();
    for (std::uint64_t i = 0; i < depth; ++i)
      redis.add({"EVALSHA", sha, "1", key_name(mixed(n + i) % clients), std::to_string(now),
                 "1698796800"});
    redis.send();
    for (std::uint64_t i = 0; i < depth; ++i)
      admitted += redis.reply() == "1";
    took_us.push_back(std::chrono::duration<double, std::micro>(clock::now() - asked).count());
  }
  const double wall_s = std::chrono::duration<double>(clock::now() - begin).count();
  const double cpu = cpu_s() - cpu_before;
  std::sort(took_us.begin(), took_us.end());
  const auto done = static_cast<double>(took_us.size() * depth);
  std::printf("{\"checks_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"client_cpu_us\":%.2f,"
              "\"admitted\":%.3f}\n",
              done / wall_s, took_us[took_us.size() / 2], took_us[took_us.size() * 99 / 100],
              cpu * 1e6 / done, static_cast<double>(admitted) / done);
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_redis_check PORT CLIENTS CHECKS DEPTH\n");
    return 64;
  }
  try {
    const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
    return run(static_cast<std::uint16_t>(number(1)), std::max(number(2), 1ull),
               std::max(number(3), 1ull), std::max(number(4), 1ull));
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "bench_redis_check: %s\n", problem.what());
    return 69;
  }
}
