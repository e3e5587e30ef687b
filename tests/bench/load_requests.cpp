#include "tests/bench/load_requests.hpp"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string_view>

namespace penstock::bench {

namespace {

// Bounds of the generated set: enough variety to defeat any cache of bodies, little enough memory.
constexpr std::size_t max_generated_bodies = 1024;
constexpr std::size_t max_generated_bytes = 16u << 20;

constexpr std::array services{"checkout", "search", "billing", "sign-up"};
constexpr std::array errors{"TimeoutError", "ConnectionReset", "KeyError", "ValidationError"};

// A cheap mix (SplitMix64), so that fields vary and runs repeat.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::string error_report(std::uint64_t number, std::uint64_t random) {
  char text[320];
  int size = std::snprintf(
      text, sizeof text,
      R"({"kind":"error","number":%)" PRIu64 R"(,"time":"2024-05-%02uT%02u:%02u:%02u.%03uZ",)"
      R"("service":"%s","host":"web-%02u","release":"4.%u.%u","error":"%s",)"
      R"("request":{"method":"POST","path":"/carts/%u/items","status":50%u,"ms":%u},"trace":")",
      number, unsigned(random % 28 + 1), unsigned(random % 24), unsigned(random % 60),
      unsigned(random / 60 % 60), unsigned(random % 1000), services[random % services.size()],
      unsigned(random / 7 % 40), unsigned(random % 10), unsigned(random / 10 % 30),
      errors[random / 4 % errors.size()], unsigned(random % 90000), unsigned(random % 5),
      unsigned(random % 30000));
  return std::string(text, std::size_t(size));
}

std::string heartbeat(std::uint64_t number, std::uint64_t random) {
  char text[320];
  int size = std::snprintf(
      text, sizeof text,
      R"({"kind":"heartbeat","number":%)" PRIu64 R"(,"agent":"agent-%06u","uptime_s":%u,)"
      R"("cpu":0.%02u,"memory_mb":%u,"queue":%u,"rules":"v%u","trace":")",
      number, unsigned(random % 1'000'000), unsigned(random % 10'000'000), unsigned(random % 100),
      unsigned(random % 16000), unsigned(random % 50), unsigned(random % 400));
  return std::string(text, std::size_t(size));
}

void append_hex(std::string& out, std::size_t digits, std::uint64_t random) {
  for (std::size_t i = 0; i < digits; ++i) {
    if (i % 16 == 15) random = mixed(random);
    out += "0123456789abcdef"[(random >> (i % 16 * 4)) & 15];
  }
}

} // namespace

std::string make_event(std::uint64_t number, std::uint32_t bytes) {
  std::uint64_t random = mixed(number);
  if (bytes < 2) return std::string(bytes, char('0' + random % 10));
  std::string_view end = "\"}";
  std::string out = number % 4 == 0 ? heartbeat(number, random) : error_report(number, random);
  if (out.size() + end.size() > bytes) {
    out = "\"";
    end = "\"";
  }
  append_hex(out, bytes - out.size() - end.size(), random);
  out += end;
  return out;
}

std::vector<std::string> make_bodies(const body_options& options) {
  std::vector<std::string> bodies;
  if (!options.file.empty()) {
    std::ifstream in(options.file);
    for (std::string line; std::getline(in, line);)
      if (!line.empty()) bodies.push_back(line);
    if (bodies.empty()) throw std::runtime_error("no bodies in " + options.file);
    return bodies;
  }
  std::size_t body_bytes = std::size_t{options.bytes} * options.events_per_request;
  std::size_t count = std::clamp(max_generated_bytes / std::max<std::size_t>(body_bytes, 1),
                                 std::size_t{1}, max_generated_bodies);
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::string body;
    for (std::uint32_t event = 0; event < options.events_per_request; ++event) {
      if (event > 0) body += '\n';
      body += make_event(number++, options.bytes);
    }
    bodies.push_back(std::move(body));
  }
  return bodies;
}

request_source::request_source(const request_options& options,
                               const std::vector<std::string>& bodies, std::uint64_t first)
    : bodies_(bodies), client_header_(options.client_header),
      clients_(std::max(options.clients, 1u)), number_(first) {
  head_ = "POST " + options.target + " HTTP/1.1\r\nHost: " + options.host +
          "\r\nContent-Type: " + options.content_type + "\r\n";
  for (const std::string& header : options.headers)
    head_ += header + "\r\n";
}

void request_source::next(std::string& out) {
  const std::string& body = bodies_[number_ % bodies_.size()];
  out = head_;
  if (!client_header_.empty())
    out.append(client_header_).append(": client-").append(std::to_string(number_ % clients_)) +=
        "\r\n";
  out.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n");
  out += body;
  ++number_;
}

} // namespace penstock::bench
