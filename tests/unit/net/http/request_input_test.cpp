#include "net/http/request_input.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace penstock;

namespace {

struct input_world {
  front_end_metrics metrics;
  lane_memory memory{1 << 20, metrics};
  request_input input{memory};
};

} // namespace

TEST_CASE("the end of a header is found however its bytes come") {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
  const auto end = text.find("rest");
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    input_world w;
    const auto first = w.input.header_size(w.input.append(text.substr(0, cut)));
    CHECK(first.has_value() == (cut >= end));
    if (first) continue;
    const auto whole = w.input.append(text.substr(cut));
    CHECK(whole == text);
    CHECK(w.input.header_size(whole) == end);
  }
}

TEST_CASE("what is left over and what a parser keeps is in the lane's ledger") {
  input_world w;
  w.input.keep(std::string(3000, 'x'));
  CHECK(w.input.other_bytes() == 0); // as of the last note()
  w.input.note();
  CHECK(w.input.other_bytes() >= 3000);
  CHECK(w.memory.total() == w.input.other_bytes());
  w.input.drop_front(2990);
  CHECK(w.input.take() == std::string(10, 'x'));
  CHECK(w.input.is_empty());
  w.input.note();
  CHECK(w.memory.total() == 0);

  const std::vector<std::string> no_fields;
  auto& request = w.input.begin_request(no_fields, 1 << 10, 1 << 10);
  const std::string header = "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
  boost::beast::error_code ec;
  request.put(boost::asio::const_buffer{header.data(), header.size()}, ec);
  request.keep_header(header.data(), header.size());
  request.put(boost::asio::const_buffer{"ab", 2}, ec);
  w.input.note();
  CHECK(w.input.body_bytes() == 2);
  CHECK(w.input.other_bytes() >= header.size());
  w.input.clear();
  CHECK_FALSE(w.input.has_request());
  CHECK(w.memory.total() == 0);
}
