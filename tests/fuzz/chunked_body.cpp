// Chunked bodies and what follows them: the session and a strict decoder agree where a body ends
// and what is in it. Where they do not, a second request could be smuggled in behind the first.
#include "tests/fuzz/http_reference.hpp"
#include "tests/fuzz/session_rig.hpp"
#include "tests/fuzz/target.hpp"

using namespace penstock;
using namespace penstock::fuzz;

PENSTOCK_FUZZ_TARGET(chunked_body)(std::string_view input) {
  tail last{input};
  const std::size_t first_cut = last.byte();
  const std::size_t second_cut = first_cut + last.byte() % 16u;
  const auto text = last.left();
  const std::string head =
      "POST /v1/events/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

  std::string body;
  std::size_t size = 0;
  const auto expected = read_chunked_body(text, body, size);
  const auto got =
      run_connection(head + std::string{text}, {head.size() + first_cut, head.size() + second_cut});
  if (expected != reading::whole) {
    expect(got.requests.empty(), "only whole bodies that are right are taken");
    return;
  }
  if (got.requests.empty()) {
    expect(got.refused != 0, "a whole body is taken or refused");
    const bool is_small = size < rig_max_header_bytes && body.size() < rig_max_body_bytes;
    const bool is_plain = text.substr(0, size).find_first_of(";:") == text.npos;
    expect(!is_small || !is_plain || body.find_first_of(";:") != body.npos,
           "a small body without extensions and trailers is taken");
    return;
  }
  expect(got.requests[0].body == body, "the body is what was sent");
  const auto behind = run_connection(text.substr(size), {});
  const std::vector<taken_request> after{got.requests.begin() + 1, got.requests.end()};
  expect(after == behind.requests, "what follows the body is read from its end");
}
