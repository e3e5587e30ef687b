#include "tests/fuzz/disk_damage.hpp"

#include "storage/journal/segment.hpp"
#include "storage/sqlite/sqlite.hpp"
#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace penstock::fuzz {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t max_damages = 16;
constexpr std::size_t max_image_bytes = 1 << 20;

/// A place in a file: near a frame of a log, or near a page of a database.
std::size_t place(command_bytes& script) {
  const auto unit = script.byte();
  const auto within = script.word();
  if (unit < 128) return wal_header_bytes + unit * wal_frame_bytes + within % wal_frame_bytes;
  return (unit - 128) * page_bytes + within % page_bytes;
}

void put(std::string& file, std::size_t at, std::string_view bytes) {
  if (at >= file.size()) return;
  file.replace(at, std::min(bytes.size(), file.size() - at), bytes.substr(0, file.size() - at));
}

void damage_bytes(std::uint8_t how, command_bytes& script, std::string& file) {
  const auto at = place(script);
  switch (how) {
  case 0:
    if (const char bits = static_cast<char>(script.byte() | 1); at < file.size()) file[at] ^= bits;
    break;
  case 1:
    put(file, at, script.text(script.byte()));
    break;
  case 2:
    put(file, at, std::string(script.word(), '\0'));
    break;
  case 3:
    file.resize(std::min(file.size(), at));
    break;
  case 4:
    file.resize(std::min(max_image_bytes, std::max(file.size(), at)));
    break;
  default: { // a frame or page over another
    const auto from = place(script);
    if (from < file.size()) put(file, at, file.substr(from, wal_frame_bytes));
  }
  }
}

std::uint32_t number_at(const std::string& from, std::size_t at, bool big) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | static_cast<unsigned char>(from[at + (big ? i : 3 - i)]);
  return value;
}

void put_big(std::string& to, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i)
    to[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

} // namespace

std::uint8_t command_bytes::byte() {
  const auto one = text(1);
  return one.empty() ? 0 : static_cast<std::uint8_t>(one[0]);
}

std::uint16_t command_bytes::word() {
  const auto low = byte();
  return static_cast<std::uint16_t>(low | byte() << 8);
}

std::string_view command_bytes::text(std::size_t bytes) {
  const auto taken = left_.substr(0, bytes);
  left_.remove_prefix(taken.size());
  return taken;
}

void damage_files(command_bytes& script, file_images& files,
                  const std::vector<std::string>& names) {
  for (std::size_t done = 0; done < max_damages && !script.empty(); ++done) {
    const auto how = static_cast<std::uint8_t>(script.byte() % 8);
    const auto& name = names[script.byte() % names.size()];
    const auto file = files.find(name);
    if (how < 6 && file != files.end()) {
      damage_bytes(how, script, file->second);
    } else if (how == 6) {
      files.erase(name);
    } else if (how == 7) {
      const auto other = files.find(names[script.byte() % names.size()]);
      if (other != files.end()) files[name] = std::string{other->second};
    }
  }
}

// https://www.sqlite.org/fileformat2.html#the_write_ahead_log
void reseal_log(std::string& log) {
  constexpr std::size_t summed_of_header = 24, summed_of_frame_header = 8, salts_at = 16;
  if (log.size() < wal_header_bytes) return;
  const bool big = (log[3] & 1) != 0;
  std::uint32_t a = 0, b = 0;
  const auto add = [&](std::size_t from, std::size_t bytes) {
    for (auto at = from; at < from + bytes; at += 8) {
      a += number_at(log, at, big) + b;
      b += number_at(log, at + 4, big) + a;
    }
  };
  add(0, summed_of_header);
  put_big(log, summed_of_header, a);
  put_big(log, summed_of_header + 4, b);
  for (auto at = wal_header_bytes; at + wal_frame_bytes <= log.size(); at += wal_frame_bytes) {
    if (log.compare(at + 8, 8, log, salts_at, 8) != 0) return; // of an earlier generation
    add(at, summed_of_frame_header);
    add(at + wal_frame_header_bytes, page_bytes);
    put_big(log, at + 16, a);
    put_big(log, at + 20, b);
  }
}

const fs::path& scratch_dir() {
  struct owned_dir {
    owned_dir() {
      const fs::path memory{"/dev/shm"};
      auto name =
          ((fs::exists(memory) ? memory : fs::temp_directory_path()) / "penstock-fuzz-XXXXXX")
              .string();
      expect(::mkdtemp(name.data()) != nullptr, "a directory can be made");
      path = name;
    }
    ~owned_dir() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
    fs::path path;
  };
  static const owned_dir dir;
  return dir.path;
}

void write_files(const fs::path& dir, const file_images& files) {
  fs::remove_all(dir);
  fs::create_directories(dir);
  for (const auto& [name, bytes] : files) {
    fs::create_directories((dir / name).parent_path());
    std::ofstream out{dir / name, std::ios::binary};
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    expect(out.flush().good(), "a file can be written");
  }
}

std::string read_whole(const fs::path& file) {
  std::error_code is_gone;
  const auto bytes = fs::file_size(file, is_gone);
  std::string content(is_gone ? 0 : bytes, '\0');
  std::ifstream{file, std::ios::binary}.read(content.data(),
                                             static_cast<std::streamsize>(content.size()));
  return content;
}

file_images read_files(const fs::path& dir) {
  file_images files;
  for (const auto& entry : fs::recursive_directory_iterator{dir})
    if (entry.is_regular_file())
      files[fs::relative(entry.path(), dir).string()] = read_whole(entry.path());
  return files;
}

void fix_sqlite_randomness() {
  initialize_sqlite();
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, 1, nullptr);
}

} // namespace penstock::fuzz
