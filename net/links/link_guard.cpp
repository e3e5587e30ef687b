#include "net/links/link_guard.hpp"

#include <caf/io/basp/header.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {
namespace {

namespace basp = caf::io::basp;

// A message begins with the names of its types: "@<>", then each with '+' before it.
constexpr std::string_view no_types = "@<>";

// Of CAF, without a length of their own that memory is taken for before it has come, and without
// messages in them. An error has one, which is looked at by itself.
// No floating-point numbers: CAF writes an infinite one for ever, and no peer says one.
constexpr std::array<std::string_view, 16> plain_types{
    "@actor", "@atom", "@i16", "@i32", "@i64",  "@i8",  "@node", "@str", "@strong_actor_ptr",
    "@u16",   "@u32",  "@u64", "@u8",  "@unit", "bool", "@addr"};
constexpr std::string_view error_type = "@error";

// Those that nodes say to each other, without "penstock::". All others stay within a node, and
// some of these do no harm but to who sends them.
constexpr std::array<std::string_view, 33> messages_of_peers{
    "accounts_digest", "accounts_records",
    "away_answer",     "away_question",
    "backup_rows",     "backup_taken",
    "forward_reply",   "forward_request",
    "hello",           "key_rows",
    "keys_taken",      "leases_returned",
    "limits_query",    "limits_reply",
    "owner_reply",     "owner_request",
    "plan_answer",     "plan_kept",
    "plan_question",   "replica_batch",
    "replica_held",    "replica_news",
    "returns_taken",   "shard_rows",
    "shard_taken",     "usage_copied",
    "usage_copy",      "usage_greeting",
    "usage_part",      "usage_part_question",
    "usage_sources",   "usage_sources_question",
    "welcome"};
constexpr std::string_view own_namespace = "penstock::";

// A node's id: the name of its form, a process number of 32 bits, 20 bytes of the host.
constexpr std::size_t node_form_bytes = 8, node_bytes = node_form_bytes + 4 + 20;

template <std::size_t Size>
bool is_one_of(const std::array<std::string_view, Size>& all, std::string_view text) {
  return std::find(all.begin(), all.end(), text) != all.end();
}

// CAF's numbers are in network byte order.
std::uint64_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t number = 0;
  for (const char byte : bytes.substr(at, size))
    number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

// A length, seven bits a byte, the lowest first. Takes it off.
std::optional<std::size_t> take_length(std::string_view& bytes) {
  std::size_t length = 0;
  for (unsigned shift = 0; shift < 28 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    length |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return length;
  }
  return std::nullopt;
}

// Calls is_known(name) for each type until one is not.
template <class F>
bool all_types(std::string_view names, F&& is_known) {
  if (!names.starts_with(no_types)) return false;
  names.remove_prefix(no_types.size());
  while (!names.empty()) {
    if (names.front() != '+') return false;
    const auto name = names.substr(1, names.find('+', 1) - 1);
    if (!is_known(name)) return false;
    names.remove_prefix(1 + name.size());
  }
  return true;
}

// Whether each message within these bytes, which CAF reads as it comes to one, is of plain types:
// wherever the names of one may stand.
bool holds_plain_messages(std::string_view bytes) {
  for (auto at = bytes.find(no_types); at != bytes.npos; at = bytes.find(no_types, at + 1)) {
    if (at == 0) return false;
    const auto length = static_cast<unsigned char>(bytes[at - 1]);
    const auto names = bytes.substr(at, length);
    // A longer text, whose length takes two bytes, would go on.
    if (length >= 0x80 || names.size() < length || bytes.substr(at + length).starts_with('+') ||
        !all_types(names, [](auto name) { return is_one_of(plain_types, name); }))
      return false;
  }
  return true;
}

} // namespace

bool link_guard::admits(std::string_view piece) {
  const auto what = std::exchange(next_, part::header);
  if (what == part::header) return admits_header(piece);
  if (piece.size() != payload_bytes_) return false;
  if (what == part::handshake) return admits_handshake(piece);
  if (what == part::control) return holds_plain_messages(piece);
  if (is_routed_ && !take_route(piece)) return false;
  return admits_message(piece, what == part::named_message);
}

bool link_guard::admits_header(std::string_view header) {
  if (header.size() != basp::header_size) return false;
  const bool is_named = (header[3] & basp::header::named_receiver_flag) != 0;
  payload_bytes_ = static_cast<std::size_t>(number_at(header, 4, 4));
  const bool is_small = payload_bytes_ > 0 && payload_bytes_ <= max_link_control_bytes;
  const bool has_greeted = !greeting_.empty();
  is_routed_ = false;
  using enum basp::message_type;
  switch (static_cast<basp::message_type>(header[0])) {
  case server_handshake:
  case client_handshake:
    // CAF reads a handshake's payload whether there is one or not.
    next_ = part::handshake;
    return is_small;
  case routed_message: // a front end hands a forwarded request on: its sender is a third node's
    is_routed_ = true;
    [[fallthrough]];
  case direct_message:
    next_ = is_named ? part::named_message : part::message;
    return has_greeted && payload_bytes_ > 0 && payload_bytes_ <= max_message_bytes_;
  case monitor_message:
  case down_message:
    next_ = part::control;
    return has_greeted && is_small;
  case heartbeat:
    return has_greeted && payload_bytes_ == 0;
  }
  return false;
}

// Who sent it and whom it is for: two nodes, told as the handshake told one. Takes them off.
bool link_guard::take_route(std::string_view& payload) const {
  if (payload.size() <= 2 * node_bytes || greeting_.size() < node_bytes) return false;
  const auto form = std::string_view{greeting_}.substr(0, node_form_bytes);
  for (std::size_t at : {std::size_t{0}, node_bytes})
    if (payload.substr(at, node_form_bytes) != form) return false;
  payload.remove_prefix(2 * node_bytes);
  return true;
}

// Who connects says twice who it is, the second time to choose this connection of two that cross.
bool link_guard::admits_handshake(std::string_view payload) {
  if (greeting_.empty()) greeting_ = payload;
  return greeting_ == payload;
}

// Whom it is passed on for, which is nobody; 16 bits of a type's number, which are 0; the names of
// types; then the values. It is named if its receiver has a name: an actor of CAF's own.
bool link_guard::admits_message(std::string_view payload, bool is_named) const {
  if (payload.size() < 4 || number_at(payload, 0, 3) != 0) return false;
  auto left = payload.substr(3);
  const auto length = take_length(left);
  if (!length || *length > left.size()) return false;
  bool has_error = false;
  const bool is_known = all_types(left.substr(0, *length), [&](std::string_view name) {
    if (name.starts_with(own_namespace))
      return !is_named && is_one_of(messages_of_peers, name.substr(own_namespace.size()));
    has_error = has_error || name == error_type;
    return name == error_type || is_one_of(plain_types, name);
  });
  if (!is_known) return false;
  return !has_error ||
         (payload.size() <= max_link_control_bytes && holds_plain_messages(left.substr(*length)));
}

} // namespace penstock
