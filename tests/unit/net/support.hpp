// What the tests of the request path share: a loop that the test steps, requests, clients, answers.
#pragma once

#include "net/clients/identity.hpp"
#include "net/http/request_parser.hpp"
#include "net/loop/event_loop.hpp"
#include "tests/unit/actors/fixture.hpp"

#include <boost/asio/buffer.hpp>
#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

inline constexpr std::int64_t ms = 1'000'000; // in ns, the unit of the loop's clock

/// An event loop without a thread: time stands still, and nothing runs but in turn().
class stepped_loop {
 public:
  testing_config config;
  caf::actor_system system{config};
  std::int64_t now_ns = 3'600'000 * ms;
  event_loop loop{system, "test", [this] { return now_ns; }};

  void turn() { loop.turn(0); }
  /// Lets time pass, with a turn at its end.
  void pass(std::int64_t ns) {
    now_ns += ns;
    turn();
  }
};

/// A request with Host and Content-Length; `fields` are whole lines.
inline std::string post(std::string_view target, std::string_view body = "",
                        std::string_view fields = "") {
  std::string out = "POST ";
  out.append(target).append(" HTTP/1.1\r\nHost: t\r\n").append(fields);
  out += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return out.append(body);
}

inline std::string get(std::string_view target, std::string_view fields = "") {
  std::string out = "GET ";
  return out.append(target).append(" HTTP/1.1\r\nHost: t\r\n").append(fields).append("\r\n");
}

/// A text and what the request parser made of all of it at once.
class parsed_request {
 public:
  explicit parsed_request(std::string request, std::vector<std::string> custom = {},
                          std::uint64_t max_header = 16 << 10, std::uint64_t max_body = 1 << 20)
      : text(std::move(request)), custom_(std::move(custom)),
        parser(custom_, max_header, max_body) {
    used = parser.put(boost::asio::const_buffer{text.data(), text.size()}, ec);
  }
  parsed_request(const parsed_request&) = delete;
  const request_head& head() const { return parser.head(); }

  std::string text;

 private:
  std::vector<std::string> custom_;

 public:
  request_parser parser;
  boost::beast::error_code ec;
  std::size_t used = 0;
};

struct http_answer {
  unsigned status = 0;
  std::map<std::string, std::string> fields; ///< names in lower case
  std::string body;
  std::string operator[](const std::string& name) const {
    auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

/// Takes the first whole answer off `text`; nothing if there is none. `head`: it has no body.
inline std::optional<http_answer> take_answer(std::string& text, bool head = false) {
  auto end = text.find("\r\n\r\n");
  if (end == text.npos) return std::nullopt;
  http_answer out;
  out.status = static_cast<unsigned>(std::atoi(text.c_str() + 9));
  for (auto at = text.find("\r\n"); at < end;) {
    auto next = text.find("\r\n", at + 2);
    auto line = text.substr(at + 2, next - at - 2);
    auto colon = line.find(": ");
    REQUIRE(colon != line.npos);
    for (std::size_t i = 0; i < colon; ++i)
      line[i] = static_cast<char>(std::tolower(line[i]));
    out.fields.emplace(line.substr(0, colon), line.substr(colon + 2));
    at = next;
  }
  auto size = head ? 0 : static_cast<std::size_t>(std::atoll(out["content-length"].c_str()));
  if (text.size() < end + 4 + size) return std::nullopt;
  out.body = text.substr(end + 4, size);
  text.erase(0, end + 4 + size);
  return out;
}

/// One end of a connection within the process. Neither sending nor receiving ever waits.
class test_client {
 public:
  explicit test_client(int fd) : fd_(fd) {}
  test_client(test_client&& other) noexcept
      : received(std::move(other.received)), ended(other.ended), fd_(std::exchange(other.fd_, -1)) {
  }
  ~test_client() { close(); }

  /// Gives how many bytes the connection took.
  std::size_t send(std::string_view text) {
    auto n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }
  void end_input() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  /// Takes in what has come, and whether that was all.
  std::string& read() {
    char buffer[16 << 10];
    for (;;) {
      auto n = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n < 0) {
        ended = ended || errno == ECONNRESET;
        return received;
      }
      if (n == 0) {
        ended = true;
        return received;
      }
      received.append(buffer, static_cast<std::size_t>(n));
    }
  }
  /// Takes in so many bytes at most.
  void read_some(std::size_t most_bytes) {
    std::string bytes(most_bytes, '\0');
    const auto n = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (n > 0) received.append(bytes, 0, static_cast<std::size_t>(n));
  }
  bool closed() {
    read();
    return ended;
  }
  /// The next answer that has come.
  std::optional<http_answer> answer(bool head = false) {
    read();
    return take_answer(received, head);
  }
  /// Its status, or 0 when none has come.
  unsigned status() {
    auto got = answer();
    return got ? got->status : 0;
  }

  std::string received;
  bool ended = false;

 private:
  int fd_;
};

} // namespace penstock
