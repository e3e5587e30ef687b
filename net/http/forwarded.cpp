#include "net/http/forwarded.hpp"

#include "net/base/ascii.hpp"

#include <algorithm>
#include <array>

namespace penstock {

namespace {

bool is_white(char c) {
  return c == ' ' || c == '\t';
}

std::string_view trim_list_element(std::string_view text) {
  while (!text.empty() && is_white(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_white(text.back()))
    text.remove_suffix(1);
  return text;
}

// RFC 7239's node: an address, perhaps with a port, which may be hidden ("_port"). Nothing for
// "unknown", an obfuscated name and all else.
std::optional<ip_address> address_of_node(std::string_view node) {
  const auto colon = node.rfind(':');
  if (colon != node.npos && colon + 1 < node.size() && node[colon + 1] == '_') {
    const auto hidden = node.substr(colon + 2);
    const bool fits = !hidden.empty() && std::all_of(hidden.begin(), hidden.end(),
                                                     [](char c) { return is_token_char(c); });
    if (!fits) return std::nullopt;
    node = node.substr(0, colon);
  }
  return parse_ip(node);
}

// One line of Forwarded, read once from the left.
class forwarded_line {
 public:
  explicit forwarded_line(std::string_view text) : text_(text) {}

  /// False when the line breaks the grammar.
  bool read();
  /// Elements that can be looked at.
  std::size_t size() const { return std::min(count_, max_forwarded_hops); }
  /// Whether those are all that there are.
  bool is_whole() const { return count_ <= max_forwarded_hops; }
  /// `i`: 0 is the rightmost. Nothing when it names no address.
  const std::optional<ip_address>& from_right(std::size_t i) const {
    return hops_[(count_ - 1 - i) % max_forwarded_hops];
  }

 private:
  bool at_end() const { return at_ == text_.size(); }
  bool next_is(char c) const { return !at_end() && text_[at_] == c; }
  bool skip(char c) {
    const bool found = next_is(c);
    at_ += found;
    return found;
  }
  void skip_white() {
    while (!at_end() && is_white(text_[at_]))
      ++at_;
  }
  bool read_element();
  bool read_pair(bool& named);
  bool read_value();
  bool read_quoted();

  // An address with brackets and a port has at most 54 bytes; more is none.
  static constexpr std::size_t max_node_bytes = 64;

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t count_ = 0;
  std::array<std::optional<ip_address>, max_forwarded_hops> hops_; // the last ones
  std::array<char, max_node_bytes> value_{};                       // of the pair, unquoted
  std::size_t value_size_ = 0;                                     // may be more than fits
};

bool forwarded_line::read() {
  for (;;) {
    if (!read_element()) return false;
    if (at_end()) return true;
    if (!skip(',')) return false;
  }
}

bool forwarded_line::read_element() {
  bool is_empty = true;
  bool named = false;
  std::optional<ip_address> hop;
  for (;;) {
    skip_white();
    if (at_end() || next_is(',')) break;
    is_empty = false;
    if (skip(';')) continue;
    const bool before = named;
    if (!read_pair(named)) return false;
    if (named != before && value_size_ <= max_node_bytes)
      hop = address_of_node({value_.data(), value_size_});
    skip_white();
    if (!at_end() && !next_is(',') && !next_is(';')) return false;
  }
  if (!is_empty) hops_[count_++ % max_forwarded_hops] = hop;
  return true;
}

// `named`: becomes true with the element's `for`, which stands there once.
bool forwarded_line::read_pair(bool& named) {
  const auto begin = at_;
  while (!at_end() && is_token_char(text_[at_]))
    ++at_;
  const auto name = text_.substr(begin, at_ - begin);
  if (name.empty() || !skip('=') || !read_value()) return false;
  const bool is_for = name.size() == 3 && lower_ascii(name[0]) == 'f' &&
                      lower_ascii(name[1]) == 'o' && lower_ascii(name[2]) == 'r';
  if (is_for && named) return false;
  named = named || is_for;
  return true;
}

bool forwarded_line::read_value() {
  value_size_ = 0;
  if (skip('"')) return read_quoted();
  // Many proxies leave out the quotes that brackets and colons need.
  const auto begin = at_;
  while (!at_end() &&
         (is_token_char(text_[at_]) || text_[at_] == ':' || text_[at_] == '[' || text_[at_] == ']'))
    ++at_;
  value_size_ = at_ - begin;
  if (value_size_ <= max_node_bytes) std::copy_n(text_.data() + begin, value_size_, value_.begin());
  return value_size_ > 0;
}

bool forwarded_line::read_quoted() {
  while (!at_end()) {
    if (skip('"')) return true;
    if (skip('\\') && at_end()) return false;
    const char c = text_[at_++];
    if (!is_field_char(c)) return false;
    if (value_size_ < max_node_bytes) value_[value_size_] = c;
    ++value_size_;
  }
  return false;
}

} // namespace

ip_address client_in_x_forwarded_for(std::string_view list, const ip_address& peer,
                                     const std::vector<ip_network>& trusted) {
  auto client = peer;
  while (!list.empty()) {
    const auto comma = list.rfind(',');
    const auto element = comma == list.npos ? list : list.substr(comma + 1);
    list = comma == list.npos ? std::string_view{} : list.substr(0, comma);
    const auto text = trim_list_element(element);
    if (text.empty()) continue; // empty elements of a list count as none (RFC 9110, 5.6.1)
    const auto address = parse_ip(text);
    if (!address) break;
    client = *address;
    if (!any_contains(trusted, client)) break;
  }
  return client;
}

std::optional<ip_address> client_in_forwarded(std::string_view lines, const ip_address& peer,
                                              const std::vector<ip_network>& trusted) {
  auto client = peer;
  while (!lines.empty()) {
    const auto feed = lines.rfind('\n');
    forwarded_line line{feed == lines.npos ? lines : lines.substr(feed + 1)};
    lines = feed == lines.npos ? std::string_view{} : lines.substr(0, feed);
    if (!line.read()) return std::nullopt;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const auto& hop = line.from_right(i);
      if (!hop) return client;
      client = *hop;
      if (!any_contains(trusted, client)) return client;
    }
    if (!line.is_whole()) return client;
  }
  return client;
}

} // namespace penstock
