// What is known to be silent, with the reason. What is "open" is a fault that is known and not
// mended.
#include "tests/crash/damage/judge.hpp"

#include <algorithm>

namespace penstock::damage {

const std::vector<excuse>& excuses() {
  static const std::vector<excuse> all{
      {"rows without checksum",
       "counters, usage, jobs and idempotency keys have none: what SQLite finds well formed is "
       "believed, also "
       "pages of another store's log that lack the first page, which has the store's mark"},
      {"end of usage",
       "usage is not synced at each write: a log that ends early is what a power cut leaves"},
      {"older store",
       "a store as it was before is whole; nothing outside tells that it was gone on with"},
  };
  return all;
}

namespace {

bool is_one_of(const std::string& text, std::initializer_list<const char*> all) {
  return std::ranges::any_of(all, [&](const char* one) { return text == one; });
}

bool touches(const cut& done, const char* file) {
  return std::ranges::any_of(
      done.files, [&](const std::string& one) { return one.find(file) != std::string::npos; });
}

} // namespace

std::string excuse_for(const cut& done, const fault& wrong) {
  const bool of_store = done.part.starts_with("store");
  if (of_store && is_one_of(wrong.what, {"counter more generous", "usage lost", "jobs lost"}) &&
      is_one_of(done.kind, {"bit", "sector", "page", "swap"}))
    return "rows without checksum";
  if (done.part.starts_with("store log") && touches(done, "usage.db-wal") &&
      wrong.what == "usage lost")
    return "end of usage";
  const bool of_rows =
      is_one_of(wrong.what, {"counter more generous", "usage lost", "jobs lost", "letter lost",
                             "key lost", "key changed", "plan lost", "revoked key valid"});
  if (of_store && of_rows && done.kind == "older") return "older store";
  return "";
}

} // namespace penstock::damage
