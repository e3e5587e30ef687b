// Forwarded (RFC 7239) and X-Forwarded-For behind trusted proxies. The client is what the last
// proxy that we do not trust was for, and never a text within quotes.
#include "net/identity.hpp"
#include "tests/fuzz/target.hpp"

#include <optional>
#include <string>
#include <vector>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

bool is_token_char(char c) {
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
          if (!take('=') || !(peek() == '"' ? take_quoted(value) : take_token(value)))
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
    while (at_ < text_.size() && is_token_char(text_[at_]))
      out += text_[at_++];
    return !out.empty();
  }
  bool take_quoted(std::string& out) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') return ++at_ > 0;
      if (text_[at_] == '\\') ++at_;
      if (at_ == text_.size()) return false;
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
  std::vector<std::string> out{""};
  for (const char c : list)
    if (c == ',')
      out.emplace_back();
    else
      out.back() += c;
  for (auto& element : out) {
    element.erase(0, element.find_first_not_of(" \t"));
    element.erase(element.find_last_not_of(" \t") + 1);
  }
  std::erase(out, "");
  return out;
}

ip_address walk(const identifier& who, const std::vector<std::string>& nodes, ip_address peer) {
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    const auto address = parse_ip(*node);
    if (!address) break;
    peer = *address;
    if (!who.trusts(peer)) break;
  }
  return peer;
}

} // namespace

// The first byte says which header it is.
PENSTOCK_FUZZ_TARGET(forwarded)(std::string_view input) {
  static const identifier who{{}, {"10.0.0.0/8", "fd00::/8"}, "secret"};
  static const ip_address peer = *parse_ip("10.0.0.1");
  if (input.empty()) return;
  const auto text = input.substr(1);
  const bool is_plain = input[0] == 'x';
  const auto field = is_plain ? request_field::x_forwarded_for : request_field::forwarded;
  request_head head;
  head.fields[static_cast<std::size_t>(field)] = text;
  head.present = 1u << static_cast<unsigned>(field);
  const auto client = who.forwarded_client(head, peer);
  if (is_plain) {
    expect(client == walk(who, split_plain(text), peer), "the client is the last that is not ours");
  } else if (const auto nodes = forwarded_reader{text}.read()) {
    expect(client == walk(who, *nodes, peer), "the client is the last that is not ours");
  } else {
    // No list at all: who is told from it stands outside of all quotes.
    bool in_quotes = false, stands = client == peer;
    for (std::size_t i = 0; i < text.size() && !stands; ++i) {
      if (text[i] == '\\' && in_quotes) {
        ++i;
      } else if (text[i] == '"') {
        in_quotes = !in_quotes;
      } else if (text[i] == '=') {
        const auto end = text.find_first_of(",; \t", i + 1);
        auto value = text.substr(i + 1, end == text.npos ? end : end - i - 1);
        if (value.starts_with('"')) value = value.substr(1, value.find('"', 1) - 1);
        stands = !in_quotes && parse_ip(value) == client;
      }
    }
    expect(stands, "the client stands outside of quotes");
  }
}
