// A row of the table `block`, as a segment may hold it: a line each for "n, how many bytes of
// clients", ends, types, type_of and attributes, then the clients' bytes, then the bodies. Either
// it is a block that contradicts nothing, and is the same when it is written again, or it is told
// as damage.
#include "storage/events/block_codec.hpp"
#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <charconv>
#include <list>
#include <string>
#include <vector>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

constexpr std::uint64_t row_seq = 1000;

/// Columns, each in memory of its own, so that the address sanitizer sees what is read beyond it.
class row_of_input {
 public:
  explicit row_of_input(std::string_view input) : left_(input) {
    const auto sizes = line();
    std::uint64_t client_bytes = 0;
    const auto* end = sizes.data() + sizes.size();
    const auto [rest, fault] = std::from_chars(sizes.data(), end, columns_.n);
    if (rest != end) std::from_chars(rest + 1, end, client_bytes);
    columns_.seq = row_seq;
    columns_.time_ms = 1;
    columns_.stream = "errors";
    columns_.ends = keep(line());
    columns_.types = keep(line());
    columns_.type_of = keep(line());
    columns_.attributes = keep(line());
    columns_.clients = keep(left_.substr(0, client_bytes));
    columns_.bodies = keep(left_.substr(columns_.clients.size()));
  }
  const block_columns& columns() const { return columns_; }

 private:
  std::string_view line() {
    const auto found = left_.substr(0, left_.find('\n'));
    left_.remove_prefix(std::min(left_.size(), found.size() + 1));
    return found;
  }
  std::string_view keep(std::string_view text) {
    const auto& kept = memory_.emplace_back(text.begin(), text.end());
    return {kept.data(), kept.size()};
  }

  std::string_view left_;
  std::list<std::vector<char>> memory_;
  block_columns columns_;
};

void check_bounds(const event_block& block, const block_columns& row) {
  expect(block.size() == row.n, "a block has as many events as it tells");
  expect(is_consistent(block), "the parts of a block fit each other");
  expect(block.bodies == row.bodies, "bodies are bytes as they came");
  // A type is at least two quotes and what parts it from the next.
  expect(block.content_types.size() <= row.types.size() / 3 + 1, "types take what they say");
  expect(block.attributes.size() <= row.n + 1, "no more attributes than events");
  std::size_t bytes = 0;
  for (const auto* texts : {&block.content_types, &block.attributes})
    for (const auto& text : *texts)
      bytes += text.size();
  expect(bytes <= row.types.size() + row.attributes.size(), "no text grows");
}

void check_same(const event_block& one, const event_block& other) {
  expect(one.stream == other.stream && one.time_ms == other.time_ms &&
             one.first_seq == other.first_seq && one.bodies == other.bodies,
         "a block is the same when it is written again");
  expect(one.content_types == other.content_types, "content types are the same");
  expect(one.attributes == other.attributes, "attributes are the same");
  for (std::size_t i = 0; i < one.size(); ++i) {
    const auto &a = one.events[i], &b = other.events[i];
    expect(a.end == b.end && a.type == b.type && a.attributes == b.attributes &&
               a.client == b.client,
           "an event is the same when it is written again");
  }
}

} // namespace

PENSTOCK_FUZZ_TARGET(block_codec)(std::string_view input) {
  static block_encoder encoder; // used again and again, as the journal does
  const row_of_input row{input};
  const auto block = decode_block(row.columns());
  if (!block) {
    expect(block.error().code == errc::corrupt, "what can't be read is damage");
    return expect(!block.error().message.empty(), "and has a reason");
  }
  check_bounds(*block, row.columns());
  encoder.encode(*block);
  auto written = row.columns();
  written.ends = encoder.ends();
  written.types = encoder.types();
  written.type_of = encoder.type_of();
  written.clients = encoder.clients();
  written.attributes = encoder.attributes();
  const auto again = decode_block(written);
  expect(again.has_value(), "what is written can be read");
  check_same(*block, *again);
}
