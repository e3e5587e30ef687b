#include "tests/fuzz/http_reference.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

namespace penstock::fuzz {

namespace {

constexpr std::size_t max_reference_body = 1u << 20;

bool is_tchar(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}
bool is_value_char(char c) { // VCHAR, obs-text, SP, HTAB
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_tchar);
}
std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}
std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

// The text up to CRLF; takes both off. Nothing: there is no whole line.
std::optional<std::string_view> take_line(std::string_view& text) {
  const auto end = text.find("\r\n");
  if (end == text.npos) return std::nullopt;
  const auto line = text.substr(0, end);
  text.remove_prefix(end + 2);
  return line;
}

// A part of a line that has not ended: no byte of it may be one that no line has. A CR may be the
// first half of its end.
bool may_go_on(std::string_view part) {
  if (part.ends_with('\r')) part.remove_suffix(1);
  return std::all_of(part.begin(), part.end(), is_value_char);
}

bool read_field(std::string_view line, std::string& name, std::string_view& value) {
  const auto colon = line.find(':');
  if (colon == line.npos || !is_token(line.substr(0, colon))) return false;
  name = lower(line.substr(0, colon));
  value = trimmed(line.substr(colon + 1));
  return std::all_of(value.begin(), value.end(), is_value_char);
}

void skip_blanks(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
}

std::string_view take_token(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_tchar(text[size]))
    ++size;
  const auto token = text.substr(0, size);
  text.remove_prefix(size);
  return token;
}

// RFC 9110, section 5.6.4: qdtext and quoted pairs.
bool take_quoted(std::string_view& text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\\') ++i;
    if (i >= text.size() || !is_value_char(text[i])) return false;
  }
  return false;
}

// chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
bool is_chunk_extension(std::string_view text) {
  while (!text.empty()) {
    skip_blanks(text);
    if (!text.starts_with(';')) return false;
    text.remove_prefix(1);
    skip_blanks(text);
    if (take_token(text).empty()) return false;
    auto after = text;
    skip_blanks(after);
    if (!after.starts_with('=')) continue;
    text = after.substr(1);
    skip_blanks(text);
    if (text.starts_with('"') ? !take_quoted(text) : take_token(text).empty()) return false;
  }
  return true;
}

std::optional<std::size_t> read_chunk_line(std::string_view line) {
  std::size_t digits = 0, value = 0;
  for (; digits < line.size() && std::isxdigit(static_cast<unsigned char>(line[digits])); ++digits)
    value = std::min(max_reference_body + 1,
                     value * 16 + std::stoul(std::string{line[digits]}, nullptr, 16));
  if (digits == 0 || value > max_reference_body || !is_chunk_extension(line.substr(digits)))
    return std::nullopt;
  return value;
}

reading read_trailers(std::string_view& text) {
  while (true) {
    const auto line = take_line(text);
    if (!line) return may_go_on(text) ? reading::incomplete : reading::wrong;
    if (line->empty()) return reading::whole;
    std::string name;
    std::string_view value;
    if (!read_field(*line, name, value)) return reading::wrong;
  }
}

} // namespace

reading read_chunked_body(std::string_view text, std::string& body, std::size_t& size) {
  const auto all = text.size();
  while (true) {
    const auto line = take_line(text);
    if (!line) return may_go_on(text) ? reading::incomplete : reading::wrong;
    const auto length = read_chunk_line(*line);
    if (!length) return reading::wrong;
    if (*length == 0) break;
    const auto data = text.substr(0, *length);
    const auto end = text.substr(data.size(), 2);
    if (data.size() < *length) return reading::incomplete;
    if (!std::string_view{"\r\n"}.starts_with(end)) return reading::wrong;
    if (end.size() < 2) return reading::incomplete;
    body += data;
    text.remove_prefix(*length + 2);
  }
  const auto trailers = read_trailers(text);
  size = all - text.size();
  return trailers;
}

namespace {

struct framing {
  std::optional<std::size_t> length;
  bool chunked = false;
  unsigned hosts = 0;
};

bool note_field(const std::string& name, std::string_view value, framing& found) {
  if (name == "host") ++found.hosts;
  if (name == "transfer-encoding") {
    if (lower(value) != "chunked" || found.chunked) return false;
    found.chunked = true;
  }
  if (name == "content-length") {
    while (value.size() > 1 && value.starts_with('0'))
      value.remove_prefix(1); // 1*DIGIT
    if (value.empty() || value.size() > 9 ||
        !std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; }))
      return false;
    const auto length = std::stoul(std::string{value});
    if (found.length && *found.length != length) return false; // section 6.3, 5
    found.length = length;
  }
  return true;
}

// "POST /target HTTP/1.1"
bool read_request_line(std::string_view line, reference_request& out, bool& is_1_1) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == line.npos || first == last || !is_token(line.substr(0, first))) return false;
  out.method = line.substr(0, first);
  out.target = line.substr(first + 1, last - first - 1);
  const auto version = line.substr(last + 1);
  is_1_1 = version == "HTTP/1.1";
  return !out.target.empty() && (is_1_1 || version == "HTTP/1.0") &&
         std::all_of(out.target.begin(), out.target.end(),
                     [](char c) { return is_value_char(c) && c != ' ' && c != '\t'; });
}

} // namespace

reading read_request(std::string_view text, reference_request& out) {
  const auto all = text.size();
  const auto header_end = text.find("\r\n\r\n");
  if (header_end == text.npos) return reading::incomplete;
  bool is_1_1 = false;
  if (!read_request_line(*take_line(text), out, is_1_1)) return reading::wrong;
  framing found;
  for (auto line = take_line(text); !line->empty(); line = take_line(text)) {
    std::string name;
    std::string_view value;
    if (!read_field(*line, name, value) || !note_field(name, value, found)) return reading::wrong;
  }
  if ((is_1_1 && found.hosts != 1) || found.hosts > 1) return reading::wrong;
  if (found.chunked && (found.length || !is_1_1)) return reading::wrong; // section 6.1
  if (found.chunked) {
    std::size_t size = 0;
    const auto body = read_chunked_body(text, out.body, size);
    out.size = all - text.size() + size;
    return body;
  }
  const auto length = found.length.value_or(0);
  if (text.size() < length) return reading::incomplete;
  out.body = text.substr(0, length);
  out.size = all - text.size() + length;
  return reading::whole;
}

} // namespace penstock::fuzz
