#include "tests/crash/damage/cut.hpp"

#include "storage/base/files.hpp"
#include "storage/journal/segment.hpp"
#include "storage/sqlite/wal_scan.hpp"
#include "tests/crash/damage/life.hpp"

#include <algorithm>
#include <fstream>
#include <map>

#include <unistd.h>

namespace penstock::damage {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t sector_bytes = 512;
constexpr std::uint64_t db_header_bytes = 100;
constexpr std::uint64_t page_header_bytes = 32; // with the first cells' pointers

void write_at(const fs::path& file, std::uint64_t offset, const std::string& bytes) {
  std::fstream out{file, std::ios::in | std::ios::out | std::ios::binary};
  out.seekp(static_cast<std::streamoff>(offset));
  out << bytes;
}

bool is_log(const std::string& name) {
  return name.ends_with("-wal");
}
bool is_database(const std::string& name) {
  return name.ends_with(".db") || name.ends_with(".db.moved");
}

/// The bytes of a file that hold something: a log's frames that are in use, and one behind them.
std::uint64_t used_bytes(const fs::path& file) {
  const auto size = file_bytes(file);
  if (!is_log(file.filename().string())) return size;
  const auto found = scan_wal(file);
  if (!found || !found->has_header) return std::min<std::uint64_t>(size, wal_header_bytes);
  return std::min(size, wal_header_bytes + (found->last_frame + 1) * wal_frame_bytes);
}

struct place {
  std::string part;
  std::uint64_t begin = 0, end = 0;
};

template <class T>
const T& one_of(const std::vector<T>& all, chance& random) {
  return all[random() % all.size()];
}

std::uint64_t between(std::uint64_t begin, std::uint64_t end, chance& random) {
  return end <= begin ? begin : begin + random() % (end - begin);
}

/// A stretch of one byte class.
place place_in(const fs::path& file, chance& random) {
  const auto used = used_bytes(file);
  const auto name = file.filename().string();
  if (is_database(name) && used >= page_bytes) {
    const auto page = random() % (used / page_bytes) * page_bytes;
    const auto header = page == 0 ? db_header_bytes : page;
    switch (random() % 3) {
    case 0:
      return {"database header", 0, db_header_bytes};
    case 1:
      return {"page header", header, header + page_header_bytes};
    default:
      return {"cells", header + page_header_bytes, page + page_bytes};
    }
  }
  if (is_log(name) && used > wal_header_bytes + wal_frame_bytes) {
    const auto frames = (used - wal_header_bytes) / wal_frame_bytes;
    // The last frames are those of which the least is known.
    const auto frame = random() % 3 == 0
                           ? frames - 1 - random() % std::min<std::uint64_t>(frames, 3)
                           : random() % frames;
    const auto at = wal_header_bytes + frame * wal_frame_bytes;
    switch (random() % 4) {
    case 0:
      return {"log header", 0, wal_header_bytes};
    case 1:
    case 2:
      return {"frame header", at, at + wal_frame_header_bytes};
    default:
      return {"frame page", at + wal_frame_header_bytes, at + wal_frame_bytes};
    }
  }
  return {"bytes", 0, used};
}

std::vector<std::uint64_t> boundaries(const fs::path& file) {
  const auto used = used_bytes(file);
  const auto name = file.filename().string();
  std::vector<std::uint64_t> at{0, file_bytes(file)};
  if (is_database(name)) at.push_back(db_header_bytes);
  if (is_database(name))
    for (std::uint64_t page = page_bytes; page < used; page += page_bytes)
      at.push_back(page);
  if (is_log(name)) at.push_back(wal_header_bytes);
  if (is_log(name))
    for (auto frame = wal_header_bytes; frame < used; frame += wal_frame_bytes) {
      at.push_back(frame);
      at.push_back(frame + wal_frame_header_bytes);
    }
  if (!is_log(name) && !is_database(name)) at.push_back(used / 2);
  return at;
}

class cutter {
 public:
  cutter(const base& of, fs::path dir, chance& random)
      : of_(of), dir_(std::move(dir)), random_(random) {
    for (const auto& entry : fs::recursive_directory_iterator{dir_})
      if (entry.is_regular_file())
        by_class_[class_of(entry.path().lexically_relative(dir_))].push_back(entry.path());
    for (auto& [name, files] : by_class_)
      std::sort(files.begin(), files.end());
  }

  cut run() {
    using step = void (cutter::*)();
    static const std::vector<step> steps{
        &cutter::flip,     &cutter::flip,     &cutter::flip,    &cutter::sector, &cutter::page,
        &cutter::truncate, &cutter::truncate, &cutter::missing, &cutter::swap,   &cutter::older};
    // Not everything can be done to each directory.
    while (done_.kind.empty())
      (this->*one_of(steps, random_))();
    return done_;
  }

 private:
  fs::path some_file() {
    auto at = by_class_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_() % by_class_.size()));
    return one_of(at->second, random_);
  }

  void note(const std::string& kind, const std::vector<fs::path>& files, const std::string& bytes,
            const std::string& detail) {
    done_.kind = kind;
    for (const auto& file : files) {
      const auto name = file.lexically_relative(dir_);
      done_.files.push_back(name.string());
      if (done_.part.find(class_of(name)) == std::string::npos)
        done_.part += (done_.part.empty() ? "" : " + ") + class_of(name);
      done_.detail += name.string() + ' ';
    }
    if (!bytes.empty()) done_.part += ", " + bytes;
    done_.detail += detail;
  }

  void flip() {
    const auto file = some_file();
    const auto where = place_in(file, random_);
    if (where.begin == where.end) return;
    const auto offset = between(where.begin, where.end, random_);
    auto content = content_of(file);
    if (offset >= content.size()) return;
    const auto bit = random_() % 8;
    write_at(file, offset, std::string(1, static_cast<char>(content[offset] ^ (1 << bit))));
    note("bit", {file}, where.part,
         "bit " + std::to_string(bit) + " of byte " + std::to_string(offset));
  }

  void sector() { zero("sector", sector_bytes); }
  void page() { zero("page", page_bytes); }
  void zero(const std::string& kind, std::uint64_t bytes) {
    const auto file = some_file();
    const auto where = place_in(file, random_);
    const auto size = file_bytes(file);
    if (size == 0) return;
    const auto begin = between(where.begin, where.end, random_) / bytes * bytes;
    if (begin >= size) return;
    write_at(file, begin, std::string(std::min(bytes, size - begin), '\0'));
    note(kind, {file}, where.part, "zeros from " + std::to_string(begin));
  }

  void truncate() {
    const auto file = some_file();
    const auto size = file_bytes(file);
    const auto at = one_of(boundaries(file), random_) + random_() % 3;
    if (size == 0 || at == 0 || at - 1 >= size) return;
    fs::resize_file(file, at - 1);
    note("truncate", {file}, "",
         "cut to " + std::to_string(at - 1) + " of " + std::to_string(size));
  }

  /// A database alone, its log alone, or both.
  std::vector<fs::path> with_its_log(const fs::path& file) {
    const auto name = file.string();
    const auto db = is_log(name) ? fs::path{name.substr(0, name.size() - 4)} : file;
    if ((!is_database(name) && !is_log(name)) || random_() % 3 != 0) return {file};
    std::vector<fs::path> both;
    for (const auto& one : {db, wal_path(db)})
      if (fs::exists(one)) both.push_back(one);
    return both;
  }

  void missing() {
    const auto files = with_its_log(some_file());
    for (const auto& file : files)
      fs::remove(file);
    note("missing", files, "", "gone");
  }

  /// With another of the same class, or a store's with another store's.
  void swap() {
    const auto file = some_file();
    const auto& others = by_class_[class_of(file.lexically_relative(dir_))];
    const auto other = one_of(others, random_);
    if (other == file || content_of(file) == content_of(other)) return;
    const bool both = random_() % 2 == 0 && is_database(file.string());
    std::vector<fs::path> swapped{file, other};
    exchange(file, other);
    if (both && (fs::exists(wal_path(file)) || fs::exists(wal_path(other)))) {
      exchange(wal_path(file), wal_path(other));
      swapped.insert(swapped.end(), {wal_path(file), wal_path(other)});
    }
    note("swap", swapped, "", "exchanged");
  }
  static void exchange(const fs::path& a, const fs::path& b) {
    const auto aside = a.string() + ".aside";
    std::error_code absent;
    fs::rename(a, aside, absent);
    fs::rename(b, a, absent);
    fs::rename(aside, b, absent);
  }

  void older() {
    auto files = with_its_log(some_file());
    const auto earlier = [&](const fs::path& file) {
      return of_.earlier / file.lexically_relative(dir_);
    };
    std::erase_if(files, [&](const fs::path& file) {
      return !fs::exists(earlier(file)) || content_of(earlier(file)) == content_of(file);
    });
    if (files.empty()) return;
    for (const auto& file : files)
      fs::copy_file(earlier(file), file, fs::copy_options::overwrite_existing);
    note("older", files, "", "as they were before");
  }

  const base& of_;
  fs::path dir_;
  chance& random_;
  std::map<std::string, std::vector<fs::path>> by_class_;
  cut done_;
};

} // namespace

std::string class_of(const fs::path& file) {
  const auto name = file.filename().string();
  const bool in_journal = file.parent_path().filename() == "journal";
  const auto kind = [&]() -> std::string {
    if (name.ends_with("-shm")) return " shared memory";
    if (name.ends_with("-wal")) return " log";
    return name.ends_with("-journal") ? " rollback journal" : "";
  }();
  if (name.find(".moved") != std::string::npos) return "moved segment" + kind;
  const std::string whose =
      file.begin() != file.end() && *file.begin() == "replicas" ? "replica " : "";
  if (name.ends_with(".wal")) return whose + "spare";
  if (name.ends_with(".reserve")) return "reserve";
  if (name.find(".db") != std::string::npos)
    return (in_journal ? whose + "segment" : "store") + kind;
  return whose + name;
}

cut damage_copy(const base& of, const fs::path& dir, chance& random) {
  return cutter{of, dir, random}.run();
}

} // namespace penstock::damage
