// Forwarded (RFC 7239) and X-Forwarded-For behind trusted proxies. The client is what the last
// proxy that we do not trust was for, and never a text within quotes.
#include "net/http/forwarded.hpp"
#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

bool is_list_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

// Reads a list of elements from its beginning, by the grammar.
class forwarded_reader {
 public:
  explicit forwarded_reader(std::string_view text) : text_(text) {}

  // The `for` of each element that is not empty, "" where there is none. Nothing: it is no list.
  std::optional<std::vector<std::string>> read() {
    std::vector<std::string> out;
    while (true) {
      skip_blanks();
      std::string node;
      bool is_empty = true, has_for = false;
      while (at_ < text_.size() && text_[at_] != ',') {
        std::string name, value;
        if (take_token(name)) {
          if (!take('=') || !(peek() == '"' ? take_quoted(value) : take_bare(value)))
            return std::nullopt;
          is_empty = false;
          if (is_for(name)) {
            if (has_for) return std::nullopt; // each parameter once
            has_for = true;
            node = value;
          }
        }
        skip_blanks();
        if (peek() == ';') {
          is_empty = false;
          ++at_;
          skip_blanks();
        } else if (at_ < text_.size() && peek() != ',') {
          return std::nullopt;
        }
      }
      if (!is_empty) out.push_back(node);
      if (at_ == text_.size()) return out;
      ++at_;
    }
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) { return peek() == c && ++at_ > 0; }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t')
      ++at_;
  }
  bool take_token(std::string& out) {
    while (at_ < text_.size() && is_list_token_char(text_[at_]))
      out += text_[at_++];
    return !out.empty();
  }
  // A token; many proxies leave out the quotes that brackets and colons need.
  bool take_bare(std::string& out) {
    while (at_ < text_.size() && (is_list_token_char(text_[at_]) ||
                                  std::string_view{":[]"}.find(text_[at_]) != text_.npos))
      out += text_[at_++];
    return !out.empty();
  }
  bool take_quoted(std::string& out) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') return ++at_ > 0;
      if (text_[at_] == '\\') ++at_;
      if (at_ == text_.size()) return false;
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
      out += text_[at_];
    }
    return false;
  }
  static bool is_for(std::string name) {
    for (auto& c : name)
      c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return name == "for";
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::vector<std::string> split_plain(std::string_view list) {
  std::vector<std::string> out;
  if (list.empty()) return out;
  out.emplace_back();
  for (const char c : list)
    if (c == ',')
      out.emplace_back();
    else
      out.back() += c;
  for (auto& element : out) {
    element.erase(0, element.find_first_not_of(" \t"));
    element.erase(element.find_last_not_of(" \t") + 1);
  }
  std::erase(out, ""); // empty elements count as none
  return out;
}

const std::vector<ip_network>& trusted() {
  static const std::vector<ip_network> networks{*parse_network("10.0.0.0/8"),
                                                *parse_network("fd00::/8")};
  return networks;
}

// From the right, past proxies that are trusted. False: the search is over.
bool walk(const std::vector<std::string>& nodes, ip_address& client) {
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    const auto address = parse_ip(*node);
    if (!address) return false;
    client = *address;
    if (!any_contains(trusted(), client)) return false;
  }
  return true;
}

// By the lines, the last first, each by itself.
std::optional<ip_address> expected_of(std::string_view lines, ip_address client) {
  while (!lines.empty()) {
    const auto feed = lines.rfind('\n');
    const auto line = feed == lines.npos ? lines : lines.substr(feed + 1);
    lines = feed == lines.npos ? std::string_view{} : lines.substr(0, feed);
    const auto nodes = forwarded_reader{line}.read();
    if (!nodes) return std::nullopt;
    if (!walk(*nodes, client)) break;
  }
  return client;
}

} // namespace

// The first byte says which header it is.
PENSTOCK_FUZZ_TARGET(forwarded)(std::string_view input) {
  static const ip_address peer = *parse_ip("10.0.0.1");
  if (input.empty()) return;
  const auto text = input.substr(1);
  if (input[0] == 'x') {
    auto expected = peer;
    walk(split_plain(text), expected);
    expect(client_in_x_forwarded_for(text, peer, trusted()) == expected,
           "the client is the last that is not ours");
    return;
  }
  // More elements than are looked at, and ports that are hidden, would be read otherwise.
  if (std::count(text.begin(), text.end(), ',') >= static_cast<long>(max_forwarded_hops) ||
      text.find(":_") != text.npos)
    return;
  const auto client = client_in_forwarded(text, peer, trusted());
  expect(client == expected_of(text, peer), "the client is the last that is not ours");
}
