#include "tests/crash/damage/export.hpp"

#include "storage/base/json_text.hpp"
#include "storage/events/event_id.hpp"
#include "tests/crash/damage/judge.hpp"

#include <fstream>

namespace penstock::damage {

namespace {

std::string quoted(const std::string& text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

/// `"name": {"key": value, …}`; `write` is called with the text and each item.
template <class Items, class Write>
void write_object(std::ostream& out, const char* name, const Items& items, Write write) {
  out << ",\n" << quoted(name) << ": {";
  bool is_first = true;
  for (const auto& item : items) {
    out << (is_first ? "\n  " : ",\n  ");
    is_first = false;
    write(item);
  }
  out << '}';
}

} // namespace

void export_case(const base& of, const cut& done, const std::filesystem::path& place) {
  std::ofstream out{place / "book.json"};
  out << "{\"what\": " << quoted(of.name + ": " + done.detail)
      << ", \"class\": " << quoted(done.kind + ": " + done.part);
  write_object(out, "events", of.truth.events, [&](const auto& item) {
    const auto& [seq, event] = item;
    out << quoted(event_id(seq, of.truth.tag)) << ": {\"stream\": " << quoted(event.stream)
        << ", \"body\": " << quoted(event.body) << ", \"type\": " << quoted(event.content_type)
        << ", \"delivered\": " << (event.is_delivered ? "true" : "false") << '}';
  });
  write_object(out, "letters", of.truth.letters, [&](const dead_letter& letter) {
    out << quoted(event_id(letter.seq, letter.tag)) << ": " << quoted(letter.body);
  });
  write_object(out, "revoked", of.truth.accounts.keys, [&](const key_record& key) {
    out << quoted(key.id) << ": " << (key.revoked_ms != 0 ? "true" : "false");
  });
  const std::vector<std::string> faults{"event lost", "letter lost", "key lost",
                                        "revoked key valid"};
  write_object(out, "excused", faults, [&](const std::string& what) {
    out << quoted(what) << ": " << quoted(excuse_for(done, {what, ""}));
  });
  out << "}\n";
}

} // namespace penstock::damage
