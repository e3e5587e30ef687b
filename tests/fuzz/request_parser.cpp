// The bytes of a connection. Whatever they are and however the network cuts them up: the same
// requests are taken; each of them is one by the letter of RFC 9112, and begins where the one
// before it ends.
#include "tests/fuzz/http_reference.hpp"
#include "tests/fuzz/session_rig.hpp"
#include "tests/fuzz/target.hpp"

#include <algorithm>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

request_method method_of(const std::string& name) {
  if (name == "POST") return request_method::post;
  if (name == "GET") return request_method::get;
  return name == "HEAD" ? request_method::head : request_method::other;
}

void check_against_reference(std::string_view bytes, const connection_outcome& whole) {
  for (const auto& taken : whole.requests) {
    while (bytes.starts_with('\r') || bytes.starts_with('\n'))
      bytes.remove_prefix(1);
    reference_request expected;
    expect(read_request(bytes, expected) == reading::whole, "what is taken is a request");
    expect(taken.method == method_of(expected.method), "it has its method");
    expect(taken.target == expected.target, "it has its target");
    expect(taken.body == expected.body, "it has its body");
    bytes.remove_prefix(expected.size);
  }
}

} // namespace

PENSTOCK_FUZZ_TARGET(request_parser)(std::string_view input) {
  tail last{input};
  const std::size_t count = last.byte() % 4 + 1;
  std::vector<std::size_t> cuts;
  for (std::size_t i = 0; i < count; ++i)
    cuts.push_back(last.byte() + 256u * (last.byte() % 4));
  std::sort(cuts.begin(), cuts.end());
  const auto bytes = last.left();

  const auto whole = run_connection(bytes, {});
  check_against_reference(bytes, whole);
  const auto cut = run_connection(bytes, cuts);
  expect(cut.requests == whole.requests, "the same requests are taken from pieces");
  expect((cut.refused != 0) == (whole.refused != 0), "the same is refused in pieces");
}
