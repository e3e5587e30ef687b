#include "storage/journal/idempotency_rows.hpp"

#include "storage/journal/segment.hpp"

#include <array>

namespace penstock {

namespace {

constexpr std::size_t key_bytes = 16;
constexpr std::size_t content_bytes = 8;

void write_number(char* out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8)
    *out++ = static_cast<char>(value >> shift);
}

std::uint64_t read_number(const char* from) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i)
    value = value << 8 | static_cast<unsigned char>(from[i]);
  return value;
}

} // namespace

result<void> idempotency_inserter::prepare(sqlite_database& db) {
  auto prepared =
      db.prepare("INSERT OR REPLACE INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5)", true);
  if (!prepared) return prepared.error();
  insert_ = std::move(*prepared);
  return {};
}

result<void> idempotency_inserter::insert(const idempotency_record& record) {
  std::array<char, key_bytes> key;
  std::array<char, content_bytes> content;
  write_number(key.data(), record.key.high);
  write_number(key.data() + 8, record.key.low);
  write_number(content.data(), record.content);
  insert_.bind(1, record.seq);
  insert_.bind(2, std::uint64_t{record.count});
  insert_.bind(3, record.time_ms);
  insert_.bind_blob(4, {key.data(), key.size()});
  insert_.bind_blob(5, {content.data(), content.size()});
  return insert_.run();
}

result<void> visit_rows(sqlite_database& db, std::int64_t since_ms, const record_visitor& visit) {
  auto rows = db.prepare(select_records);
  if (!rows) return rows.error();
  rows->bind(1, since_ms);
  return visit_rows(*rows, visit);
}

result<void> visit_rows(sqlite_statement& rows, const record_visitor& visit) {
  for (;;) {
    auto row = rows.step();
    if (!row) return row.error();
    if (!*row) return {};
    const auto key = rows.bytes(3);
    const auto content = rows.bytes(4);
    if (key.size() != key_bytes || content.size() != content_bytes)
      return error{errc::corrupt, "a row of the table idempotency is damaged"};
    visit({.key = {read_number(key.data()), read_number(key.data() + 8)},
           .content = read_number(content.data()),
           .seq = static_cast<std::uint64_t>(rows.integer(0)),
           .count = static_cast<std::uint32_t>(rows.integer(1)),
           .time_ms = rows.integer(2)});
  }
}

result<void> visit_records(const std::filesystem::path& segment, std::int64_t since_ms,
                           const record_visitor& visit, const std::string& vfs) {
  auto db = open_segment(segment, sqlite_mode::read_only, vfs);
  if (!db) return db.error();
  auto has_table = db->prepare("SELECT 1 FROM sqlite_schema WHERE name = 'idempotency'");
  if (!has_table) return has_table.error();
  auto found = has_table->step();
  if (!found) return found.error();
  if (!*found) return {};
  return visit_rows(*db, since_ms, visit);
}

} // namespace penstock
