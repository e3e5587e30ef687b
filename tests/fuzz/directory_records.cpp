// What other nodes wrote into the directory: members, views, keys, plans and the names of records.
// What is read is within its bounds, and is the same when it is written and read again.
#include "actors/accounts/account_json.hpp"
#include "actors/base/error_text.hpp"
#include "net/directory/directory_json.hpp"
#include "net/directory/directory_names.hpp"
#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <string>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

void read_a_member(std::string_view text) {
  const auto member = read_member(text);
  if (!member) return;
  expect(!member->address.empty() && !member->incarnation.empty(), "a member has an address");
  expect(member->address.size() <= 256 && member->node.size() <= 64, "its texts are bounded");
  const auto written = member_json(*member);
  // Each byte may have become an escape of six.
  expect(written.size() <= 6 * max_member_json_bytes, "what is written is bounded");
  if (written.size() <= max_member_json_bytes)
    expect(read_member(written) == member, "a member is the same when it is written again");
}

void read_a_view(std::string_view text) {
  const auto view = read_view(text);
  if (!view) return;
  for (const auto* members : {&view->members, &view->before}) {
    expect(members->size() <= max_members, "the number of members is bounded");
    for (std::size_t i = 1; i < members->size(); ++i)
      expect((*members)[i - 1].address < (*members)[i].address, "members are sorted, each once");
  }
  expect(view->removals.size() <= max_view_removals, "the number of removals is bounded");
  for (const auto& removal : view->removals)
    expect(removal.views.size() <= max_removal_views, "and of the views of each");
  if (const auto written = view_json(*view); written.size() <= max_view_json_bytes)
    expect(read_view(written) == view, "a view is the same when it is written again");
}

void read_a_record(std::string_view name, std::string_view text) {
  const auto record = from_directory({std::string{name}, std::string{text}});
  if (!record) return;
  const auto again = std::visit([](const auto& held) { return to_directory(held); }, *record);
  expect(again.key == name, "a record has the name of what is in it");
  const auto reread = from_directory(again);
  expect(again.value.size() > max_directory_value_bytes || reread.has_value(),
         "what was read can be written");
  if (reread)
    expect(std::visit([](const auto& held) { return to_directory(held); }, *reread) == again,
           "a record is the same when it is written again");
  if (const auto* key = std::get_if<key_record>(&*record)) {
    expect(is_account_name(key->account), "a key's account has a name");
    expect(key->version > 0, "a record has a version");
  }
}

void read_a_name(std::string_view name) {
  if (const auto text = decode_directory_key(name))
    expect(encode_directory_key(*text) == name, "one text has one name");
  const auto encoded = encode_directory_key(name);
  if (name.empty() || name.size() > max_directory_key_bytes)
    return expect(encoded.empty(), "what is too long has no name");
  expect(decode_directory_key(encoded) == name, "a name can be read");
  expect(encoded.front() != '.' && encoded.back() != '.' && encoded.find("..") == encoded.npos &&
             encoded.find_first_of(" *>\t\r\n") == encoded.npos,
         "NATS takes the name");
}

} // namespace

// The first byte says what it is; of a key or a plan the first line is its name.
PENSTOCK_FUZZ_TARGET(directory_records)(std::string_view input) {
  if (input.empty()) return;
  const auto text = input.substr(1);
  if (input[0] == 'm') read_a_member(text);
  if (input[0] == 'v') read_a_view(text);
  if (input[0] == 'n') read_a_name(text);
  if (input[0] == 'r') {
    const auto line = text.find('\n');
    if (line != text.npos) read_a_record(text.substr(0, line), text.substr(line + 1));
  }
}
