// Chunked bodies: one reading of them, however their bytes arrive.
#include "net/http/chunked_body.hpp"

#include <boost/beast/http/error.hpp>
#include <catch2/catch.hpp>

#include <ostream>
#include <string>
#include <vector>

// A namespace of its own: the names would clash with those of other tests.
namespace penstock::chunked_body_test {

namespace http = boost::beast::http;

namespace {

struct decoded {
  std::string body;
  std::string rest; ///< what the decoder left
  bool done = false;
  boost::beast::error_code ec;
  bool operator==(const decoded&) const = default;
};

std::ostream& operator<<(std::ostream& out, const decoded& what) {
  return out << (what.done ? "done, " : "") << what.ec.message() << " body: " << what.body
             << " rest: " << what.rest;
}

decoded decode(const std::vector<std::string_view>& pieces, chunked_limits limits) {
  chunked_body chunks{limits};
  decoded out;
  for (auto piece : pieces) {
    if (out.ec || chunks.is_done()) {
      out.rest += piece;
      continue;
    }
    const auto used = chunks.put(piece, out.body, out.ec);
    CHECK((out.ec || chunks.is_done() || used == piece.size()));
    out.rest += piece.substr(used);
  }
  out.done = chunks.is_done();
  return out;
}

/// Whole, cut in two at each place, and a byte at a time: the same each time.
decoded decode(const std::string& text, chunked_limits limits = {1'000, 200, 10}) {
  const std::string_view all = text;
  const auto whole = decode({all}, limits);
  for (std::size_t at = 0; at <= all.size(); ++at) {
    INFO("cut at " << at);
    CHECK(decode({all.substr(0, at), all.substr(at)}, limits) == whole);
  }
  std::vector<std::string_view> bytes;
  for (std::size_t at = 0; at < all.size(); ++at)
    bytes.push_back(all.substr(at, 1));
  CHECK(decode(bytes, limits) == whole);
  return whole;
}

} // namespace

TEST_CASE("chunked bodies: what the grammar allows") {
  const std::vector<std::pair<std::string, std::string>> good{
      {"0\r\n\r\n", ""},
      {"5\r\nhello\r\n0\r\n\r\n", "hello"},
      {"1\r\na\r\n2\r\nbc\r\n00\r\n\r\n", "abc"},
      {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
      {"a\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
      {"000000000000000000005\r\nhello\r\n0\r\n\r\n", "hello"},
      {"2\r\n\r\n\r\n0\r\n\r\n", "\r\n"},
      {"5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello"},
      {"5 ; a = \"b;\\\"\t\x80\"\r\nhello\r\n0;c\r\n\r\n", "hello"},
      {"1\r\na\r\n0\r\nX-A: b\r\n\r\n", "a"},
      {"1\r\na\r\n0\r\nX-A:\r\nB:\t c \x80\r\n\r\n", "a"},
      {"1\r\na\r\n0\r\nConnection: close\r\nHost: b\r\n\r\n", "a"},
  };
  for (const auto& [text, body] : good) {
    INFO(text);
    CHECK(decode(text + "GET") == decoded{body, "GET", true, {}});
  }
}

TEST_CASE("chunked bodies: what isn't in the grammar is refused at its first byte") {
  struct row {
    std::string text; ///< '|' stands before the byte that can't be right
    http::error wrong;
  };
  using enum http::error;
  std::vector<row> rows{
      // Sizes: digits, at least one, of 64 bits.
      {"|\r\n", bad_chunk},
      {"| 5\r\n", bad_chunk},
      {"|+5\r\n", bad_chunk},
      {"|-5\r\n", bad_chunk},
      {"0|x5\r\n", bad_chunk_extension},
      {"5|h\r\n", bad_chunk_extension},
      {"5|.\r\n", bad_chunk_extension},
      {"5|_0\r\n", bad_chunk_extension},
      {"|;a\r\n", bad_chunk},
      {"|\xb2\r\n", bad_chunk},
      {"ffffffffffffffff|0\r\n", bad_chunk},
      {"1000000000000000|0\r\n", bad_chunk},
      {"000000000001000000000000000|5\r\n", bad_chunk},
      // Line ends: CR LF and nothing else.
      {"5|\nhello\n0\n\n", bad_line_ending},
      {"5\r|hello", bad_line_ending},
      {"5\r|\r\n", bad_line_ending},
      {"5;a|\nhello", bad_line_ending},
      {"5;a=b|\n", bad_line_ending},
      {"5;a=\"b\"|\n", bad_line_ending},
      {"5 |\r\n", bad_chunk_extension},
      {"5 |\n", bad_line_ending},
      {"5\t|\r\n", bad_chunk_extension},
      {std::string{"5|\0\r\n", 5}, bad_chunk_extension},
      {std::string{"0\r\nX: a|\0\r\n", 10}, bad_value},
      {"5|\x0b\r\n", bad_chunk_extension},
      {"5|\x0c;a\r\n", bad_chunk_extension},
      {"5|\x85\r\n", bad_chunk_extension},
      // Extensions.
      {"5;a=\"|\r\n", bad_chunk_extension},
      {"5;a=\"b\\|\r\n", bad_chunk_extension},
      {"5;|\r\n", bad_chunk_extension},
      {"5;a=|\r\n", bad_chunk_extension},
      {"5;|;\r\n", bad_chunk_extension},
      {"0;a=\"|\r\n\r\n\"\r\n\r\n", bad_chunk_extension},
      {"5;a=\"b\" |c", bad_chunk_extension},
      // Behind the data.
      {"5\r\nhello|6\r\n", bad_chunk},
      {"5\r\nhello|\n0\r\n", bad_chunk},
      {"5\r\nhello\r|0\r\n", bad_chunk},
      {"3\r\nabc|def\r\n", bad_chunk},
      // Trailers.
      {"0\r\n|\n", bad_line_ending},
      {"0\r\n\r|X", bad_line_ending},
      {"0\r\n|: a\r\n", bad_field},
      {"0\r\nX|\r\n\r\n", bad_field},
      {"0\r\nX| : a\r\n", bad_field},
      {"0\r\n| X: a\r\n", bad_obs_fold},
      {"0\r\nX: a\r\n| b\r\n\r\n", bad_obs_fold},
      {"0\r\nX: a\r\n|\tb\r\n\r\n", bad_obs_fold},
      {"0\r\nX: a|\n\r\n", bad_line_ending},
      {"0\r\nX: a\r|Y: b\r\n", bad_line_ending},
      {"0\r\nX: a|\x07\r\n", bad_value},
      {"0\r\nX: a|\x7f\r\n", bad_value},
      {"0\r\nX: a\r\nGET| / HTTP/1.1\r\n", bad_field},
      {"0\r\nContent-Length|: 5\r\n\r\n", bad_content_length},
      {"0\r\nTRANSFER-encoding|: chunked\r\n\r\n", bad_transfer_encoding},
  };
  for (int byte = 0; byte < 0x80; ++byte) {
    if (byte == '\t' || (byte >= 0x20 && byte != 0x7f)) continue;
    const std::string bad{'|', static_cast<char>(byte)};
    const auto wrong = byte == '\n' ? bad_line_ending : bad_chunk_extension;
    for (const auto* line : {"5", "0"}) {
      rows.push_back({line + (";a=\"x" + bad) + "y\"\r\nhello\r\n", wrong});
      rows.push_back({line + (";a=\"x\\" + bad) + "y\"\r\nhello\r\n", wrong});
    }
  }
  for (const auto& [text, wrong] : rows) {
    INFO(text);
    const auto at = text.find('|');
    REQUIRE(at != text.npos);
    const auto found = decode(text.substr(0, at) + text.substr(at + 1));
    CHECK(found.ec == wrong);
    CHECK(found.rest == text.substr(at + 1));
    CHECK_FALSE(found.done);
  }
}

TEST_CASE("chunked bodies: limits, at the last size that is taken and at the first that is not") {
  const auto outcome = [](const std::string& text) { return decode(text, {10, 20, 2}); };
  CHECK(outcome("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n").done);
  CHECK(outcome("b\r\n").ec == http::error::body_limit);
  CHECK(outcome("5\r\nhello\r\n6\r\n").ec == http::error::body_limit);
  CHECK(outcome("ffffffffffffffff\r\n").ec == http::error::body_limit);
  // All extensions together: many small chunks with one each cost more than their data.
  CHECK(outcome("1;" + std::string(19, 'x') + "\r\na\r\n0\r\n\r\n").done);
  CHECK(outcome("1;" + std::string(20, 'x')).ec == http::error::header_limit);
  CHECK(outcome("1;" + std::string(9, 'x') + "\r\na\r\n1;" + std::string(10, 'x')).ec ==
        http::error::header_limit);
  CHECK(outcome(std::string(35, '0') + "1\r\na\r\n0\r\n\r\n").done);
  CHECK(outcome(std::string(37, '0')).ec == http::error::header_limit);
  // Trailers, their line ends among them.
  CHECK(outcome("0\r\nX: " + std::string(13, 'x') + "\r\n\r\n").done);
  CHECK(outcome("0\r\nX: " + std::string(16, 'x') + "\r\n\r\n").ec == http::error::header_limit);
  CHECK(outcome("0\r\na:\r\nb:\r\n\r\n").done);
  CHECK(outcome("0\r\na:\r\nb:\r\nc:\r\n\r\n").ec == http::error::header_limit);
}

} // namespace penstock::chunked_body_test
