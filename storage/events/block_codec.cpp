#include "storage/events/block_codec.hpp"

#include "storage/base/json_text.hpp"

#include <array>
#include <charconv>
#include <cstring>

namespace penstock {

namespace {

constexpr std::size_t client_bytes = 8;
/// As many as an event's index into them tells apart.
constexpr std::size_t max_types_per_row = 1u << 16;
/// What follows the backslash for a character that append_json_string() writes with one letter.
constexpr std::string_view short_escapes = "\"\\bfnrt", short_escaped = "\"\\\b\f\n\r\t";

/// Fills `out` with "[a,b,…]", the numbers being what `number_at(i)` gives.
template <class NumberAt>
void write_number_array(std::string& out, std::size_t n, NumberAt number_at) {
  constexpr std::size_t longest = 11; // ten digits and a comma
  out.resize(n * longest + 2);
  char* at = out.data();
  char* const end = at + out.size();
  *at++ = '[';
  for (std::size_t i = 0; i < n; ++i) {
    at = std::to_chars(at, end, static_cast<std::uint32_t>(number_at(i))).ptr;
    *at++ = ',';
  }
  if (n > 0) --at;
  *at++ = ']';
  out.resize(static_cast<std::size_t>(at - out.data()));
}

char* write_client(char* out, std::uint64_t client) {
  for (int shift = 56; shift >= 0; shift -= 8)
    *out++ = static_cast<char>(client >> shift);
  return out;
}

std::uint64_t read_client(const char* from) {
  std::uint64_t client = 0;
  for (std::size_t i = 0; i < client_bytes; ++i)
    client = client << 8 | static_cast<unsigned char>(from[i]);
  return client;
}

error corrupt(std::string_view what) {
  return error{errc::corrupt, std::string{what}};
}

/// A cursor over the JSON that block_encoder writes; anything else is an error to its caller.
class json_cursor {
 public:
  explicit json_cursor(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  bool take(char wanted) {
    if (at_ == end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }
  bool finished() const { return at_ == end_; }

  bool number(std::uint32_t& out) {
    const auto [rest, fault] = std::from_chars(at_, end_, out);
    if (fault != std::errc{}) return false;
    at_ = rest;
    return true;
  }

  bool string(std::string& out) {
    out.clear();
    if (!take('"')) return false;
    while (at_ != end_ && *at_ != '"') {
      if (*at_ != '\\') {
        out.push_back(*at_++);
        continue;
      }
      if (!escaped(out)) return false;
    }
    return take('"');
  }

  /// The text of an object, brackets included, or "" for null.
  bool object_or_null(std::string_view& out) {
    if (end_ - at_ >= 4 && std::memcmp(at_, "null", 4) == 0) {
      at_ += 4;
      out = {};
      return true;
    }
    const char* begin = at_;
    int depth = 0;
    bool in_string = false;
    for (; at_ != end_; ++at_) {
      if (in_string) {
        if (*at_ == '\\' && at_ + 1 != end_)
          ++at_;
        else if (*at_ == '"')
          in_string = false;
      } else if (*at_ == '"') {
        in_string = true;
      } else if (*at_ == '{' || *at_ == '[') {
        ++depth;
      } else if ((*at_ == '}' || *at_ == ']') && --depth == 0) {
        ++at_;
        out = {begin, static_cast<std::size_t>(at_ - begin)};
        return *begin == '{';
      }
      if (depth == 0 && !in_string) return false;
    }
    return false;
  }

 private:
  bool escaped(std::string& out) {
    ++at_;
    if (at_ == end_) return false;
    if (*at_ != 'u') {
      const auto which = short_escapes.find(*at_++);
      if (which == std::string_view::npos) return false;
      out.push_back(short_escaped[which]);
      return true;
    }
    unsigned code = 0;
    if (end_ - at_ < 5 || std::from_chars(at_ + 1, at_ + 5, code, 16).ptr != at_ + 5 || code > 0x7f)
      return false;
    out.push_back(static_cast<char>(code));
    at_ += 5;
    return true;
  }

  const char* at_;
  const char* end_;
};

bool decode_ends(const block_columns& row, event_block& block) {
  json_cursor json{row.ends};
  if (!json.take('[')) return false;
  std::uint32_t before = 0;
  for (std::uint64_t i = 0; i < row.n; ++i) {
    auto& end = block.events[i].end;
    if ((i > 0 && !json.take(',')) || !json.number(end) || end < before) return false;
    before = end;
  }
  return json.take(']') && json.finished();
}

bool decode_types(const block_columns& row, event_block& block) {
  json_cursor names{row.types};
  if (!names.take('[')) return false;
  do {
    if (block.content_types.size() == max_types_per_row ||
        !names.string(block.content_types.emplace_back()))
      return false;
  } while (names.take(','));
  if (!names.take(']') || !names.finished()) return false;
  if (row.type_of.empty()) return true;

  json_cursor indexes{row.type_of};
  if (!indexes.take('[')) return false;
  for (std::uint64_t i = 0; i < row.n; ++i) {
    std::uint32_t index = 0;
    if ((i > 0 && !indexes.take(',')) || !indexes.number(index)) return false;
    if (index >= block.content_types.size()) return false;
    block.events[i].type = static_cast<std::uint16_t>(index);
  }
  return indexes.take(']') && indexes.finished();
}

bool decode_clients(const block_columns& row, event_block& block) {
  const bool all_the_same = row.clients.size() == client_bytes;
  if (!all_the_same && row.clients.size() != row.n * client_bytes) return false;
  for (std::uint64_t i = 0; i < row.n; ++i)
    block.events[i].client =
        read_client(row.clients.data() + (all_the_same ? 0 : i * client_bytes));
  return true;
}

bool decode_attributes(const block_columns& row, event_block& block) {
  if (row.attributes.empty()) return true;
  json_cursor json{row.attributes};
  if (!json.take('[')) return false;
  for (std::uint64_t i = 0; i < row.n; ++i) {
    std::string_view object;
    if ((i > 0 && !json.take(',')) || !json.object_or_null(object)) return false;
    if (object.empty()) continue;
    if (block.attributes.back() != object) block.attributes.emplace_back(object);
    block.events[i].attributes = static_cast<std::uint16_t>(block.attributes.size() - 1);
  }
  return json.take(']') && json.finished();
}

} // namespace

void block_encoder::encode(const event_block& block) {
  const auto& events = block.events;
  bool one_type = true, one_client = true, any_attributes = false;
  for (const auto& event : events) {
    one_type &= event.type == 0;
    one_client &= event.client == events.front().client;
    any_attributes |= event.attributes != 0;
  }

  write_number_array(ends_, events.size(), [&](std::size_t i) { return events[i].end; });
  type_of_.clear();
  if (!one_type)
    write_number_array(type_of_, events.size(), [&](std::size_t i) { return events[i].type; });

  types_.assign(1, '[');
  for (const auto& type : block.content_types) {
    if (types_.size() > 1) types_.push_back(',');
    append_json_string(types_, type);
  }
  types_.push_back(']');

  clients_.resize((one_client ? 1 : events.size()) * client_bytes);
  char* out = clients_.data();
  for (std::size_t i = 0; i < clients_.size() / client_bytes; ++i)
    out = write_client(out, events[i].client);

  attributes_.clear();
  if (any_attributes) {
    for (const auto& event : events) {
      attributes_.push_back(attributes_.empty() ? '[' : ',');
      attributes_.append(event.attributes == 0 ? std::string_view{"null"}
                                               : block.attributes[event.attributes]);
    }
    attributes_.push_back(']');
  }
  row_bytes_ = ends_.size() + types_.size() + type_of_.size() + clients_.size() +
               attributes_.size() + block.stream.size() + block.bodies.size();
}

result<event_block> decode_without_bodies(const block_columns& row) {
  if (row.n == 0 || row.n > max_events_per_block) return corrupt("an impossible number of events");
  event_block block;
  block.first_seq = row.seq;
  block.time_ms = row.time_ms;
  block.stream = row.stream;
  block.events.resize(row.n);
  if (!decode_ends(row, block)) return corrupt("the ends of its bodies can't be read");
  if (!decode_types(row, block)) return corrupt("its content types can't be read");
  if (!decode_clients(row, block)) return corrupt("its clients can't be read");
  if (!decode_attributes(row, block)) return corrupt("its attributes can't be read");
  return block;
}

result<event_block> decode_block(const block_columns& row) {
  auto block = decode_without_bodies(row);
  if (!block) return block;
  if (block->events.back().end != row.bodies.size())
    return corrupt("the ends of its bodies don't fit the bodies");
  block->bodies = row.bodies;
  return block;
}

} // namespace penstock
