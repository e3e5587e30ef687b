// CloudEvents in all three modes. What is taken has the attributes that every event needs, without
// control characters and within the bounds, and says the same whichever mode it came in.
#include "net/ingest/cloud_events.hpp"
#include "tests/fuzz/target.hpp"
#include "tests/unit/net/padded.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

namespace json = boost::json;

constexpr std::size_t max_document_bytes = 64 << 10;

bool has_control(std::string_view utf8) {
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    const auto next = i + 1 < utf8.size() ? static_cast<unsigned char>(utf8[i + 1]) : 0u;
    if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next >= 0x80 && next <= 0x9f)) return true;
  }
  return false;
}

json::object check(const cloud_event& event) {
  json::error_code failed;
  const auto parsed = json::parse(event.attributes, failed);
  expect(!failed && parsed.is_object(), "attributes are a JSON object");
  const auto& members = parsed.get_object();
  std::size_t bytes = 0, spare = 0;
  for (const auto& [name, value] : members) {
    expect(name.starts_with("ce_") && name.size() > 3 && name.size() <= 23, "names are bounded");
    expect(std::all_of(name.begin() + 3, name.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }),
           "names are of letters and digits");
    expect(value.is_string(), "values are texts");
    expect(!has_control(std::string_view{value.get_string()}), "values have no control characters");
    bytes += name.size() - 3 + value.get_string().size();
    if (name == "ce_penstockid" || name == "ce_partitionkey") spare += max_relayed_attribute_bytes;
  }
  expect(bytes <= max_cloud_event_attribute_bytes + spare, "attributes are bounded");
  expect(members.size() <= max_cloud_event_attributes + 2, "their number is bounded");
  for (const char* needed : {"ce_specversion", "ce_id", "ce_source", "ce_type"}) {
    const auto* value = members.if_contains(needed);
    expect(value != nullptr && !value->get_string().empty(), "an event has what it needs");
  }
  expect(members.at("ce_specversion").get_string() == "1.0", "it is of version 1.0");
  expect(members.at("ce_id").get_string() == event.id, "the id is its attribute");
  expect(members.at("ce_source").get_string() == event.source, "the source is its attribute");
  return members;
}

std::string percent_encoded(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '%' && c != '"' && c != '\\') {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

// The same event as header fields says the same, but for what Content-Type says.
void check_as_headers(cloud_event_reader& reader, json::object members) {
  members.erase("ce_datacontenttype");
  std::vector<std::string> texts;
  for (const auto& [name, value] : members) {
    texts.push_back("CE-" + std::string{name.substr(3)});
    texts.push_back(percent_encoded(std::string_view{value.get_string()}));
  }
  std::vector<header_field> fields;
  for (std::size_t i = 0; i < texts.size(); i += 2)
    fields.push_back({texts[i], texts[i + 1]});
  cloud_event again;
  expect(reader.binary(fields, again), "a structured event is one in binary mode");
  expect(check(again) == members, "both modes say the same");
}

void read_structured(cloud_event_reader& reader, std::string_view text) {
  cloud_event event;
  if (!reader.structured(padded{text, '}'}, event))
    return expect(!reader.why().empty(), "a refusal has a reason");
  auto members = check(event);
  json::parse_options options;
  options.max_depth = 255;
  json::error_code failed;
  json::parse({text.data(), text.size()}, failed, {}, options);
  // It goes less deep, and minds how large an exponent is.
  expect(!failed || failed == json::error::exponent_overflow || failed == json::error::too_deep,
         "it is JSON");
  check_as_headers(reader, std::move(members));
}

void read_batch(cloud_event_reader& reader, std::string_view text) {
  const padded held{text, ']'};
  if (!reader.open_batch(held)) return expect(!reader.why().empty(), "a refusal has a reason");
  std::vector<std::pair<std::string, std::string>> taken;
  std::size_t elements = 0;
  reader.for_each_in_batch([&](std::string_view raw, const cloud_event* event) {
    ++elements;
    if (event == nullptr) {
      expect(!reader.why().empty(), "a refusal has a reason");
      return true;
    }
    check(*event);
    const auto all = held.text();
    expect(raw.data() >= all.data() && raw.data() + raw.size() <= all.data() + all.size(),
           "an event's text is part of the batch's");
    taken.emplace_back(raw, event->attributes);
    return true;
  });
  expect(elements == reader.batch_size(), "each element is told of");
  for (const auto& [raw, attributes] : taken) {
    cloud_event alone;
    expect(reader.structured(padded{raw}, alone), "an event of a batch is one by itself");
    expect(alone.attributes == attributes, "and says the same");
  }
}

// Lines of "name:value".
void read_binary(cloud_event_reader& reader, std::string_view text) {
  std::vector<header_field> fields;
  while (!text.empty() && fields.size() < max_header_fields) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto colon = line.find(':');
    const auto name = line.substr(0, colon);
    if (name.size() > 3 && name.starts_with("ce-"))
      fields.push_back({name, colon == line.npos ? std::string_view{} : line.substr(colon + 1)});
  }
  cloud_event event;
  if (!reader.binary(fields, event)) return expect(!reader.why().empty(), "a refusal has a reason");
  check_as_headers(reader, check(event));
}

} // namespace

PENSTOCK_FUZZ_TARGET(cloud_events)(std::string_view input) {
  static cloud_event_reader reader{max_document_bytes};
  if (input.empty()) return;
  const auto text = input.substr(1);
  if (input[0] == 's') read_structured(reader, text);
  if (input[0] == 'b') read_batch(reader, text);
  if (input[0] == 'h') read_binary(reader, text);
}
