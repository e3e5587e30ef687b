// Small files beside the segments: one with a number, as `next-id`, and a rollback journal. The
// first byte says which, and for the number whether it is damaged or read as it is.
#include "storage/base/number_file.hpp"
#include "storage/sqlite/rollback_journal.hpp"
#include "tests/fuzz/disk_damage.hpp"
#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <fstream>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

const std::filesystem::path& small_file() {
  static const auto file = [] {
    write_files(scratch_dir() / "small", {});
    return scratch_dir() / "small" / "file";
  }();
  return file;
}

void write_small(std::string_view content) {
  std::filesystem::remove(small_file());
  std::ofstream{small_file(), std::ios::binary} << content;
}

void read_a_number(std::string_view text) {
  write_small(text);
  const auto read = read_number(small_file());
  expect(read.has_value(), "a file with a number can be looked at whatever it holds");
  if (!*read) return;
  expect(text.size() == 21, "numbers of all versions take as many bytes");
  expect(write_number(small_file(), (*read)->value).has_value(), "a number can be written");
  const auto again = read_number(small_file());
  expect(again && *again && (*again)->value == (*read)->value,
         "a number is the same when it is written again");
  expect((*again)->has_checksum == ((*read)->value < numbers_with_checksum),
         "and has a checksum where one fits");
}

/// One byte of a number that was written is another now.
void read_a_damaged_number(command_bytes& script) {
  std::uint64_t value = 0;
  for (int i = 0; i < 7; ++i)
    value = value << 8 | script.byte();
  value %= numbers_with_checksum;
  std::filesystem::remove(small_file());
  expect(write_number(small_file(), value).has_value(), "a number can be written");
  auto text = read_whole(small_file());
  text[script.byte() % text.size()] ^= static_cast<char>(script.byte() | 1);
  write_small(text);
  const auto read = read_number(small_file());
  expect(read.has_value(), "a damaged number can be looked at");
  if (!*read) return;
  // Four letters fit one of 65,536 wrong numbers, too.
  expect(write_number(small_file(), (*read)->value).has_value(), "what is believed can be written");
  expect(read_whole(small_file()) == text, "what is believed is as it would be written");
}

void read_a_rollback_journal(std::string_view content) {
  write_small(content);
  const auto is_damaged = is_rollback_journal_damaged(small_file());
  expect(is_damaged.has_value(), "a rollback journal can be judged whatever it holds");
  if (content.empty()) expect(!*is_damaged, "an empty one is none");
  if (content.find_first_not_of('\0') == std::string_view::npos)
    expect(!*is_damaged, "nor is one of zeros");
  expect(read_whole(small_file()) == content, "a look changes nothing");
}

} // namespace

PENSTOCK_FUZZ_TARGET(small_files)(std::string_view input) {
  command_bytes script{input};
  switch (script.byte() % 3) {
  case 0:
    return read_a_number(input.substr(std::min<std::size_t>(1, input.size())));
  case 1:
    return read_a_damaged_number(script);
  default:
    return read_a_rollback_journal(input.substr(1));
  }
}
