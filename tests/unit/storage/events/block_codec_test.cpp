// A block's row, written and read again.
#include "storage/events/block_codec.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace penstock;

namespace {

/// A row of one event; each test changes what it is about.
block_columns one_event_row() {
  block_columns row;
  row.seq = 5;
  row.n = 1;
  row.stream = "errors";
  row.ends = "[1]";
  row.types = R"(["text/plain"])";
  row.clients = "client-1";
  row.bodies = "x";
  return row;
}

} // namespace

TEST_CASE("a content type is read as it was written, whatever is in it", "[block]") {
  event_block block;
  block.first_seq = 5;
  block.stream = "errors";
  std::string all;
  for (int c = 0; c < 256; ++c)
    all.push_back(static_cast<char>(c));
  // A tab is the one control character that HTTP allows in a header's value.
  for (const auto& type : {std::string{"text/plain;\tcharset=utf-8"}, std::string{"a\\t\"\\"}, all})
    block.push("x", type, 1);
  block_encoder encoder;
  encoder.encode(block);
  auto row = one_event_row();
  row.n = block.size();
  row.ends = encoder.ends();
  row.types = encoder.types();
  row.type_of = encoder.type_of();
  row.bodies = block.bodies;
  const auto read = decode_block(row);
  REQUIRE(read.has_value());
  CHECK(read->content_types == block.content_types);
}

TEST_CASE("an escape that is never written is damage", "[block]") {
  auto row = one_event_row();
  for (const auto* types : {R"(["\x"])", R"(["\u00e4"])", R"(["\u00"])", R"(["\)"}) {
    row.types = types;
    CHECK_FALSE(decode_block(row).has_value());
  }
}

TEST_CASE("a row has no more content types than an index reaches", "[block]") {
  constexpr std::size_t reached = 65'536;
  std::string types = "[\"first\"";
  for (std::size_t i = 1; i < reached; ++i)
    types += ",\"\"";
  auto row = one_event_row();
  row.type_of = "[65535]";
  const auto whole = types + "]";
  row.types = whole;
  CHECK(decode_block(row).has_value());
  // Else the next would be taken for the first.
  const auto one_more = types + ",\"\"]";
  row.types = one_more;
  row.type_of = "[65536]";
  CHECK_FALSE(decode_block(row).has_value());
}
