// A lean HTTP load generator: closed loop, or open loop at a constant rate. Prints one JSON object.
#include "actors/base/metrics.hpp"
#include "tests/bench/load_requests.hpp"
#include "tests/bench/load_worker.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <cstdio>
#include <memory>
#include <netdb.h>
#include <stdexcept>
#include <sys/resource.h>
#include <thread>

namespace {

using namespace penstock::bench;
using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::nanoseconds;

constexpr std::uint32_t max_threads = 64;
constexpr std::uint32_t max_connections = 20'000;
constexpr double max_duration_s = 3600;
constexpr int exit_usage = 64;
constexpr int exit_unavailable = 69;

struct options {
  std::string url;
  std::uint32_t connections = 64;
  std::uint32_t threads = 1;
  double duration_s = 5;
  double grace_s = 10;
  std::uint64_t requests = 0;
  double rate = 0;
  body_options bodies;
  request_options request;
};

void declare(CLI::App& app, options& o) {
  app.add_option("--url", o.url, "Where to POST, http://host:port/path")->required();
  app.add_option("--connections", o.connections)->check(CLI::Range(1u, max_connections));
  app.add_option("--threads", o.threads)->check(CLI::Range(1u, max_threads));
  app.add_option("--duration-s", o.duration_s)->check(CLI::Range(0.001, max_duration_s));
  app.add_option("--grace-s", o.grace_s, "How long to wait for the last answers")
      ->check(CLI::Range(0.0, 60.0));
  app.add_option("--requests", o.requests, "Stop after so many; 0: only the time counts");
  app.add_option("--rate", o.rate, "Open loop: requests a second; 0: closed loop");
  app.add_option("--body-bytes", o.bodies.bytes, "Size of a generated event")
      ->check(CLI::Range(1u, body_options::max_event_bytes));
  app.add_option("--body-file", o.bodies.file, "NDJSON; its lines are the bodies, in turn");
  app.add_option("--ndjson", o.bodies.events_per_request, "Events a request, as NDJSON")
      ->check(CLI::Range(1u, 10'000u));
  app.add_option("--content-type", o.request.content_type);
  app.add_option("--header", o.request.headers, "\"Name: value\"; may be repeated");
  app.add_option("--client-header", o.request.client_header, "Header that tells clients apart");
  app.add_option("--clients", o.request.clients, "How many values that header takes");
  app.footer("Example: bench_load --url http://127.0.0.1:8080/v1/events --connections 64 "
             "--duration-s 5");
}

// Splits the URL into the Host header, the target and the address.
sockaddr_in resolve(const std::string& url, request_options& request) {
  const std::string scheme = "http://";
  if (url.compare(0, scheme.size(), scheme) != 0)
    throw std::runtime_error("--url must begin with http://");
  std::size_t slash = url.find('/', scheme.size());
  request.host = url.substr(scheme.size(), slash - scheme.size());
  if (slash != std::string::npos) request.target = url.substr(slash);
  std::size_t colon = request.host.find(':');
  std::string port = colon == std::string::npos ? "80" : request.host.substr(colon + 1);
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(request.host.substr(0, colon).c_str(), port.c_str(), &hints, &found) != 0)
    throw std::runtime_error("cannot resolve " + request.host);
  sockaddr_in address = *reinterpret_cast<sockaddr_in*>(found->ai_addr);
  ::freeaddrinfo(found);
  return address;
}

// A thread's share of `total`, the first threads taking what does not divide.
std::uint64_t share(std::uint64_t total, std::uint32_t threads, std::uint32_t thread) {
  return total / threads + (thread < total % threads ? 1 : 0);
}

struct work {
  std::unique_ptr<request_source> requests;
  std::unique_ptr<load_worker> worker;
};

std::vector<work> prepare(const options& o, const sockaddr_in& address,
                          const std::vector<std::string>& bodies) {
  std::vector<work> all;
  for (std::uint32_t i = 0; i < o.threads; ++i) {
    worker_options w;
    w.address = address;
    w.connections = std::uint32_t(share(o.connections, o.threads, i));
    w.max_requests = share(o.requests, o.threads, i);
    w.duration = duration_cast<nanoseconds>(duration<double>(o.duration_s));
    w.grace = duration_cast<nanoseconds>(duration<double>(o.grace_s));
    if (o.rate > 0) {
      w.interval = nanoseconds(std::max<std::int64_t>(std::int64_t(1e9 * o.threads / o.rate), 1));
      w.first_after = w.interval * i / o.threads;
    }
    if (w.connections == 0 || (o.requests != 0 && w.max_requests == 0)) continue;
    work job;
    job.requests =
        std::make_unique<request_source>(o.request, bodies, bodies.size() * i / o.threads);
    job.worker = std::make_unique<load_worker>(w, *job.requests);
    all.push_back(std::move(job));
  }
  return all;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

boost::json::object latency_us(const latency_histogram& h) {
  auto us = [](double ns) { return std::int64_t(ns + 500) / 1000; };
  return {{"mean", us(h.mean())},
          {"p50", us(double(h.percentile(0.5)))},
          {"p90", us(double(h.percentile(0.9)))},
          {"p99", us(double(h.percentile(0.99)))},
          {"p99.9", us(double(h.percentile(0.999)))},
          {"max", us(double(h.max()))}};
}

boost::json::object report(const options& o, const std::vector<work>& all, steady::time_point start,
                           double cpu_s) {
  auto total = std::make_unique<worker_result>();
  total->last_answer = start;
  for (const work& job : all) {
    const worker_result& r = job.worker->result();
    total->latency.merge(r.latency);
    for (auto& [status, count] : r.by_status)
      total->by_status[status] += count;
    for (auto& [why, count] : r.errors)
      total->errors[why] += count;
    total->bytes_sent += r.bytes_sent;
    total->bytes_received += r.bytes_received;
    total->last_answer = std::max(total->last_answer, r.last_answer);
  }
  // Up to the last answer: stragglers after the end count, and so does the time they took.
  double seconds = std::max(duration<double>(total->last_answer - start).count(), 1e-9);
  std::uint64_t accepted = 0;
  boost::json::object status, errors;
  for (auto& [code, count] : total->by_status) {
    status[std::to_string(code)] = count;
    if (code / 100 == 2) accepted += count;
  }
  for (auto& [why, count] : total->errors)
    errors[why] = count;
  std::uint64_t events = accepted * (o.bodies.file.empty() ? o.bodies.events_per_request : 1);
  return {{"seconds", seconds},
          {"requests", total->latency.count()},
          {"requests_per_s", double(total->latency.count()) / seconds},
          {"events", events},
          {"events_per_s", double(events) / seconds},
          {"status", status},
          {"errors", errors},
          {"latency_us", latency_us(total->latency)},
          {"bytes_sent", total->bytes_sent},
          {"bytes_received", total->bytes_received},
          {"cpu_s", cpu_s}};
}

int run(options& o) {
  sockaddr_in address = resolve(o.url, o.request);
  if (o.bodies.events_per_request > 1 && o.bodies.file.empty())
    o.request.content_type = "application/x-ndjson";
  std::vector<std::string> bodies = make_bodies(o.bodies);
  std::vector<work> all = prepare(o, address, bodies);
  for (work& job : all) {
    if (job.worker->connect_all()) continue;
    std::fprintf(stderr, "bench_load: cannot connect to %s\n", o.url.c_str());
    return exit_unavailable;
  }
  double cpu_before = cpu_seconds();
  auto start = steady::now();
  std::vector<std::thread> threads;
  for (work& job : all)
    threads.emplace_back([&job, start] { job.worker->run(start); });
  for (std::thread& t : threads)
    t.join();
  boost::json::object result = report(o, all, start, cpu_seconds() - cpu_before);
  std::printf("%s\n", boost::json::serialize(result).c_str());
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  options o;
  CLI::App app("Sends HTTP requests and measures the answers; prints one JSON object.");
  declare(app, o);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : exit_usage;
  }
  try {
    return run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_load: %s\n", e.what());
    return exit_usage;
  }
}
