#include "net/ingest/cloud_events.hpp"

#include "net/base/ascii.hpp"
#include "net/base/rfc3339.hpp"
#include "net/http/event_body.hpp"
#include "storage/base/json_text.hpp"

#include <algorithm>
#include <limits>

namespace penstock {

namespace {

constexpr std::string_view header_prefix = "ce-";
constexpr std::size_t max_name_chars = 20;
constexpr std::size_t max_quoted_chars = 32; // of what a client wrote, in an error

// A client's own words in an error, cut short: it need not read a kilobyte back.
std::string quoted(std::string_view text) {
  std::string out{"\""};
  out += text.substr(0, max_quoted_chars);
  out += text.size() > max_quoted_chars ? "…\"" : "\"";
  return out;
}

std::string about(std::string_view name, std::string_view what) {
  std::string out = "The CloudEvents attribute " + quoted(name) + ' ';
  return out.append(what);
}

bool is_attribute_name(std::string_view name) {
  return !name.empty() && name.size() <= max_name_chars &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

// U+0000 to U+001F and U+007F to U+009F (CloudEvents 1.0.2, section 2.1); `text` is UTF-8.
bool has_control_character(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return true;
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0)
      return true;
  }
  return false;
}

// Quoted strings are unescaped first, then one round of percent-decoding (HTTP binding, 3.1.3.2).
// False, with the reason, if that can't be done.
bool decode_header_value(std::string_view value, std::string& out, std::string_view& why) {
  std::string plain;
  bool in_quotes = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '"')
      in_quotes = !in_quotes;
    else if (in_quotes && value[i] == '\\' && i + 1 < value.size())
      plain += value[++i];
    else
      plain += value[i];
  }
  if (in_quotes) return why = "has a quoted string that does not end.", false;
  out.clear();
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] != '%') {
      out += plain[i];
      continue;
    }
    auto high = i + 2 < plain.size() ? hex_digit(plain[i + 1]) : -1;
    auto low = i + 2 < plain.size() ? hex_digit(plain[i + 2]) : -1;
    if (high < 0 || low < 0)
      return why = "has a '%' without two hexadecimal digits; a percent sign is sent as %25.",
             false;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  if (!simdjson::validate_utf8(out)) return why = "is not UTF-8 once percent-decoded.", false;
  return true;
}

// Gathers an event's attributes, whichever mode they came in.
class attribute_set {
 public:
  explicit attribute_set(cloud_event& out) : out_(out) { out_.attributes = "{"; }

  // Empty, or what is wrong. `value` is UTF-8.
  std::string add(std::string_view name, std::string_view value) {
    if (!is_attribute_name(name))
      return about(name, "is not named as it should: 1 to 20 of a to z and 0 to 9.");
    if (std::find(names_.begin(), names_.end(), name) != names_.end())
      return about(name, "is there more than once.");
    const auto bytes = name.size() + value.size();
    // What a node before this one may have added must not make the event too large for this one.
    const bool is_relayed = name == "penstockid" || name == "partitionkey" ||
                            name == "upstreamid" || name == "upstreamkey";
    if (is_relayed)
      spare_bytes_ += std::min(bytes, max_relayed_attribute_bytes);
    else if (++counted_ > max_cloud_event_attributes)
      return about(name, "is one too many: an event has at most 64.");
    bytes_ += bytes;
    if (bytes_ > max_cloud_event_attribute_bytes + spare_bytes_)
      return about(name, "is too long: all attributes together have at most 16 KiB.");
    if (has_control_character(value)) return about(name, "has a control character.");
    if (auto why = check(name, value); !why.empty()) return why;
    names_.emplace_back(name);
    if (name == "id") out_.id = value;
    if (name == "source") out_.source = value;
    if (name == "penstockid") out_.relayed_id = value;
    auto& json = out_.attributes;
    json += json.size() > 1 ? ",\"ce_" : "\"ce_";
    json.append(name).append("\":");
    append_json_string(json, value);
    return {};
  }

  std::string finish() {
    for (std::string_view needed : {"specversion", "id", "source", "type"})
      if (std::find(names_.begin(), names_.end(), needed) == names_.end())
        return about(needed, "is missing; every event needs it.");
    out_.attributes += '}';
    return {};
  }

 private:
  static std::string check(std::string_view name, std::string_view value) {
    if (name == "specversion")
      return value == "1.0" ? "" : about(name, "must be \"1.0\", not " + quoted(value) + '.');
    bool filled = name == "id" || name == "source" || name == "type" || name == "subject" ||
                  name == "dataschema" || name == "datacontenttype";
    if (filled && value.empty()) return about(name, "must not be empty.");
    if (name == "time" && !parse_rfc3339(value))
      return about(name, "must be an RFC 3339 time, not " + quoted(value) + '.');
    return {};
  }

  cloud_event& out_;
  std::vector<std::string> names_;
  std::size_t counted_ = 0; // without what nodes add
  std::size_t bytes_ = 0;
  std::size_t spare_bytes_ = 0;
};

// A JSON member as an attribute's canonical string; false if it is of no type that one may have.
bool canonical(simdjson::dom::element value, std::string& out) {
  switch (value.type()) {
  case simdjson::dom::element_type::STRING:
    out = std::string_view{value};
    return true;
  case simdjson::dom::element_type::BOOL:
    out = bool{value} ? "true" : "false";
    return true;
  case simdjson::dom::element_type::INT64: {
    auto number = std::int64_t{value};
    out = std::to_string(number);
    return number >= std::numeric_limits<std::int32_t>::min() &&
           number <= std::numeric_limits<std::int32_t>::max();
  }
  default:
    return false;
  }
}

bool is_base64(std::string_view text) {
  if (text.size() % 4 != 0) return false;
  auto padding = text.ends_with("==") ? 2u : text.ends_with('=') ? 1u : 0u;
  text.remove_suffix(padding);
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  });
}

} // namespace

cloud_event_reader::cloud_event_reader(std::size_t max_document_bytes)
    : parser_(max_document_bytes), slicer_(max_document_bytes) {}

bool cloud_event_reader::fail(std::string why) {
  why_ = std::move(why);
  return false;
}

bool cloud_event_reader::read(simdjson::dom::element element, cloud_event& out) {
  simdjson::dom::object members;
  if (element.get(members) != simdjson::SUCCESS)
    return fail("A CloudEvent is a JSON object; this is none.");
  attribute_set attributes{out};
  std::size_t data_members = 0;
  std::string value;
  for (auto [name, member] : members) {
    bool encoded = name == "data_base64";
    if (encoded || name == "data") {
      if (++data_members > 1)
        return fail("An event has one of \"data\" and \"data_base64\", once.");
      std::string_view text;
      if (encoded && (member.get(text) != simdjson::SUCCESS || !is_base64(text)))
        return fail("\"data_base64\" must be a string in Base64 (RFC 4648, section 4).");
      continue;
    }
    if (member.is_null()) continue; // as if it were not there (JSON format, section 2.2)
    if (!canonical(member, value))
      return fail(about(name, "must be a string, a boolean or a whole number of 32 bits."));
    if (auto why = attributes.add(name, value); !why.empty()) return fail(std::move(why));
  }
  auto why = attributes.finish();
  return why.empty() || fail(std::move(why));
}

bool cloud_event_reader::parse(std::string_view text, simdjson::dom::element& document) {
  auto error =
      text.empty() ? simdjson::EMPTY : parser_.parse(text.data(), text.size(), false).get(document);
  return error == simdjson::SUCCESS ||
         fail(std::string{"The body is not the JSON it claims to be: "} +
              simdjson::error_message(error));
}

bool cloud_event_reader::structured(std::string_view text, cloud_event& out) {
  simdjson::dom::element document;
  if (!parse(text, document)) return false;
  return read(document, out);
}

bool cloud_event_reader::open_batch(std::string_view text) {
  slices_.clear();
  batch_ = {};
  simdjson::dom::element document;
  if (!parse(text, document)) return false;
  if (document.get(batch_) != simdjson::SUCCESS)
    return fail("A batch of CloudEvents is a JSON array; the body is none.");
  // The document is valid, so this second pass only has to find where its elements begin and end.
  simdjson::ondemand::document again;
  simdjson::ondemand::array elements;
  auto error =
      slicer_.iterate(text.data(), text.size(), text.size() + json_padding_bytes).get(again);
  if (error == simdjson::SUCCESS) error = again.get_array().get(elements);
  if (error != simdjson::SUCCESS) return fail("The batch can't be read.");
  for (auto element : elements) {
    simdjson::ondemand::object object;
    std::string_view raw;
    if (element.get_object().get(object) == simdjson::SUCCESS &&
        object.raw_json().get(raw) == simdjson::SUCCESS)
      raw = raw.substr(0, raw.find_last_of('}') + 1); // what follows is white space
    else
      raw = {};
    slices_.push_back(raw);
  }
  if (slices_.size() != batch_.size()) {
    batch_ = {};
    slices_.clear();
    return fail("The batch can't be read.");
  }
  return true;
}

bool cloud_event_reader::binary(const std::vector<header_field>& fields, cloud_event& out) {
  attribute_set attributes{out};
  std::string name, value;
  for (auto& field : fields) {
    name.assign(field.name.substr(header_prefix.size()));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (name == "datacontenttype" || name == "data")
      return fail("The header field ce-" + name + " must not be sent: " +
                  (name == "data" ? "the data is the body." : "Content-Type says it."));
    std::string_view undecodable;
    if (!decode_header_value(field.value, value, undecodable))
      return fail(about(name, undecodable));
    if (auto why = attributes.add(name, value); !why.empty()) return fail(std::move(why));
  }
  auto why = attributes.finish();
  return why.empty() || fail(std::move(why));
}

} // namespace penstock
