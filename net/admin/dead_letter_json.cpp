#include "net/admin/dead_letter_json.hpp"

#include "net/base/json_text.hpp"
#include "net/base/rfc3339.hpp"
#include "storage/events/event_id.hpp"

namespace penstock {

namespace {

/// Members of one object, in their order.
class letter_members {
 public:
  explicit letter_members(std::string& out) : out_(out) { out_ += '{'; }
  void text(std::string_view name, std::string_view value) {
    key(name);
    append_json_any(out_, value);
  }
  void text_or_null(std::string_view name, std::string_view value) {
    if (value.empty())
      raw(name, "null");
    else
      text(name, value);
  }
  void number(std::string_view name, std::uint64_t value) { raw(name, std::to_string(value)); }
  void raw(std::string_view name, std::string_view json) {
    key(name);
    out_ += json;
  }
  void begin_next() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  void end() { out_ += '}'; }

 private:
  void key(std::string_view name) {
    begin_next();
    out_.append("\"").append(name).append("\":");
  }
  std::string& out_;
  bool first_ = true;
};

} // namespace

void append_letter(std::string& out, const kept_dead_letter& kept, bool with_body) {
  const auto& letter = kept.letter;
  letter_members members{out};
  members.text("id", event_id(letter.seq, letter.tag));
  members.text("sink", letter.sink);
  members.text("stream", letter.stream);
  members.text("time", rfc3339(letter.time_ms));
  members.text("died", rfc3339(letter.died_ms));
  members.number("tries", letter.tries);
  members.text("reason", letter.reason);
  members.number("size", kept.body_bytes);
  members.number("number", kept.number);
  if (with_body) {
    members.text("content_type", letter.content_type);
    members.raw("attributes", letter.attributes.empty() ? "{}" : letter.attributes);
    members.begin_next();
    append_json_body(out, letter.body);
  }
  members.end();
}

std::string letters_json(const dead_letters_page& page) {
  std::string out = R"({"dead_letters":[)";
  for (std::size_t i = 0; i < page.letters.size(); ++i) {
    if (i > 0) out += ',';
    append_letter(out, page.letters[i], false);
  }
  std::uint64_t letters = 0, bytes = 0;
  std::string by;
  for (const auto& tally : page.tallies) {
    letters += tally.letters;
    bytes += tally.bytes;
    if (!by.empty()) by += ',';
    letter_members members{by};
    members.text("sink", tally.sink);
    members.text("stream", tally.stream);
    members.number("dead_letters", tally.letters);
    members.number("bytes", tally.bytes);
    members.end();
  }
  out += R"(],"totals":{"dead_letters":)" + std::to_string(letters);
  out += R"(,"bytes":)" + std::to_string(bytes) + R"(,"by":[)" + by + "]}";
  if (page.next > 0) out += R"(,"next":)" + std::to_string(page.next);
  return out + '}';
}

std::string letters_ndjson(const dead_letters_page& page) {
  std::string out;
  for (const auto& kept : page.letters) {
    append_letter(out, kept, true);
    out += '\n';
  }
  return out;
}

std::string job_json(const delivery_job& job, std::string_view tag) {
  std::string out;
  letter_members members{out};
  members.text_or_null("job", job.number == 0 ? "" : job_id(job));
  members.text("kind", job.kind == job_kind::replay ? "replay" : "retry");
  members.text_or_null("stream", job.stream);
  members.text_or_null("sink", job.sink);
  if (job.kind == job_kind::replay) {
    const bool some = job.total > 0;
    members.text_or_null("from", some ? event_id(job.from_seq, tag) : "");
    members.text_or_null("to", some ? event_id(job.to_seq, tag) : "");
    members.text_or_null("next", some ? event_id(job.next_seq, tag) : "");
  }
  members.raw("rate", job.rate == 0 ? "null" : std::to_string(job.rate));
  members.number("total", job.total);
  members.number("sent", job.sent);
  members.number("refused", job.refused);
  members.text("state", name_of(job.state));
  members.text_or_null("why", job.why);
  members.text("created", rfc3339(job.created_ms));
  members.text("changed", rfc3339(job.changed_ms));
  members.end();
  return out;
}

} // namespace penstock
