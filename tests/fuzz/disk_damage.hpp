// What the targets share that damage files: a directory in memory, files as bytes, and a small
// language of bytes that says how they are damaged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::fuzz {

/// Takes an input apart from its begin; zeros when nothing is left.
class command_bytes {
 public:
  explicit command_bytes(std::string_view input) : left_(input) {}
  bool empty() const { return left_.empty(); }
  std::uint8_t byte();
  std::uint16_t word();
  /// As many bytes, or as many as are left.
  std::string_view text(std::size_t bytes);

 private:
  std::string_view left_;
};

/// Files by their names within a directory, which may be "damaged/000000000001.db".
using file_images = std::map<std::string, std::string>;

/// Does to the files of these names what the rest of the input says: bits, bytes, zeros, cuts,
/// growth, frames and pages exchanged, files removed and exchanged.
void damage_files(command_bytes& script, file_images& files, const std::vector<std::string>& names);

/// Makes all checksums of a write-ahead log right again, as whoever wants to do harm would.
void reseal_log(std::string& log);

/// A directory of this process, in memory where the machine has that; it goes with the process.
const std::filesystem::path& scratch_dir();

/// Makes the directory hold these files and nothing else.
void write_files(const std::filesystem::path& dir, const file_images& files);
/// All files of a directory and of those below it.
file_images read_files(const std::filesystem::path& dir);
std::string read_whole(const std::filesystem::path& file);

/// SQLite draws the same salts for each log from here on: the same input makes the same files.
void fix_sqlite_randomness();

} // namespace penstock::fuzz
