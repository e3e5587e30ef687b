// Which keys and plans the directory does not have yet, as far as this node knows.
#pragma once

#include "actors/accounts/account_book.hpp"
#include "actors/accounts/account_json.hpp"

#include <set>
#include <string>
#include <vector>

namespace penstock {

/// Records are put so many at a time: the node renews its membership in between.
inline constexpr std::size_t max_records_per_put = 64;

/// Everything is owed to a directory that has not told yet what it holds. What it tells is not owed
/// any more, unless ours is newer. The directory keeps what was put last, whatever its version; so
/// a node that is told of an older record than its own puts its own again. What peers tell they put
/// themselves, and it is owed here only if the directory has not told it some time later. What the
/// book has no more is to be taken out. Not synchronised.
class directory_debt {
 public:
  /// The directory was not reached yet, or is away: it may have lost all.
  void owe_all(const account_book& book);
  /// All that the directory holds was told.
  void watching() { watching_ = true; }

  void made_here(const account_records& changed) { note(changed, owed_); }
  void heard(const account_records& changed) { note(changed, owed_later_); }
  /// It does not hold what it should.
  void owe(const std::string& name) { owed_.insert(name); }
  void owe_later(const std::string& name);
  /// It holds that.
  void settle(const std::string& name);
  /// What is owed later is owed now.
  void tick();

  /// What to put next; empty when there is nothing, when it is not the time, or while the portion
  /// before is under way. A record that is larger than the directory takes is not owed any more and
  /// named in `too_large`.
  std::vector<directory_record> next_portion(const account_book& book,
                                             std::vector<std::string>& too_large);
  /// What became of the portion under way.
  void put(bool ok);

 private:
  static void note(const account_records& changed, std::set<std::string>& names);

  bool watching_ = false;
  std::set<std::string> owed_;
  std::set<std::string> owed_later_;
  std::set<std::string> under_way_;
};

} // namespace penstock
