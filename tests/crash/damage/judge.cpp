#include "tests/crash/damage/judge.hpp"

#include "storage/events/event_id.hpp"

#include <algorithm>
#include <regex>

namespace penstock::damage {

namespace fs = std::filesystem;

namespace {

using sentences = std::vector<std::string>;

/// Numbers of one journal that a sentence calls lost, both ends excluded.
struct range {
  std::uint64_t after = 0, before = UINT64_MAX;
};

/// "after ID and before ID", "after ID", "before ID", and "events N to N" of rows.
std::vector<range> named_ranges(const sentences& said, const std::string& tag) {
  static const std::regex ids{"(?:after ([0-9a-f]{16})-([a-z2-7]{8}))?(?: and )?"
                              "(?:before ([0-9a-f]{16})-([a-z2-7]{8}))?"};
  static const std::regex rows{"events ([0-9]+) to ([0-9]+)"};
  std::vector<range> found;
  for (const auto& text : said) {
    for (std::sregex_iterator at{text.begin(), text.end(), ids}, end; at != end; ++at) {
      const auto& match = *at;
      if (match.length(0) == 0 || (!match[1].matched && !match[3].matched)) continue;
      if ((match[1].matched && match[2] != tag) || (match[3].matched && match[4] != tag)) continue;
      range one;
      if (match[1].matched) one.after = std::stoull(match[1], nullptr, 16);
      if (match[3].matched) one.before = std::stoull(match[3], nullptr, 16);
      found.push_back(one);
    }
    for (std::sregex_iterator at{text.begin(), text.end(), rows}, end; at != end; ++at)
      found.push_back({std::stoull((*at)[1]) - 1, std::stoull((*at)[2]) + 1});
    if (text.find("(no other segment tells which)") != std::string::npos) found.push_back({});
  }
  return found;
}

bool mentions(const sentences& said, const std::string& text) {
  return std::ranges::any_of(said, [&](auto& one) { return one.find(text) != std::string::npos; });
}

sentences all_said(const life& start) {
  auto all = start.damaged;
  all.insert(all.end(), start.torn.begin(), start.torn.end());
  all.insert(all.end(), start.rows.begin(), start.rows.end());
  if (!start.has_started()) all.push_back(start.refusal);
  return all;
}

/// Ids after a damaged next-id come from the clock, and damaged stores are numbered as they come.
std::string without_numbers(const std::string& sentence) {
  static const std::regex place{"/damaged/[0-9]+.*|far beyond, at .*"};
  return std::regex_replace(sentence, place, "");
}

class judgement {
 public:
  judgement(const book& truth, const story& seen)
      : truth_(truth), seen_(seen), said_(all_said(seen.first)) {}

  std::vector<fault> run() {
    check_agreement();
    if (!seen_.first.has_started()) {
      check_refusal();
      return faults_;
    }
    check_events(truth_.tag, truth_.events, seen_.first.delivered);
    for (const auto& [tag, events] : truth_.replicas) {
      const auto found = seen_.first.replicas.find(tag);
      // One that could not be opened is named, and stays as it is.
      if (found == seen_.first.replicas.end() &&
          mentions(said_, "replicas/" + tag + " is left alone"))
        continue;
      check_events(tag, events,
                   found == seen_.first.replicas.end() ? sent_events{} : found->second);
    }
    check_added();
    check_accounts();
    check_letters();
    check_counters();
    if (seen_.first.jobs < truth_.jobs && !mentions(said_, "replays.db")) add("jobs lost", "");
    if (seen_.first.usage_rows < truth_.usage_rows && !mentions(said_, "usage.db"))
      add("usage lost", "");
    check_later_starts();
    return faults_;
  }

 private:
  void add(const std::string& what, const std::string& detail) {
    faults_.push_back({what, detail});
  }

  void check_agreement() {
    if (seen_.check_changed_something) add("check changed bytes", "");
    if (!seen_.check.failure.empty()) return add("check failed", seen_.check.failure);
    const auto compare = [&](const sentences& some, const sentences& others, const char* what) {
      for (const auto& one : some)
        if (!mentions(others, without_numbers(one))) add(what, one);
    };
    auto said = seen_.first.damaged;
    if (!seen_.first.has_started()) said.push_back(seen_.first.refusal);
    compare(said, seen_.check.damaged, "start said more than check");
    compare(seen_.first.torn, seen_.check.torn, "start said more than check");
    if (!seen_.first.has_started()) return; // it stopped before it had seen all
    for (const auto& one : seen_.check.damaged)
      // Letters and indexes are read by the check alone; the start tells when letters are used.
      if (!mentions(said, without_numbers(one)) &&
          one.find(" dead letters, the first of them") == std::string::npos &&
          one.find("A start does not look at indexes") == std::string::npos)
        add("check said more than start", one);
    compare(seen_.check.torn, seen_.first.torn, "check said more than start");
  }

  void check_refusal() {
    const auto& why = seen_.first;
    if (why.refused_as != errc::corrupt && why.refused_as != errc::locked)
      add("refused with another code", why.refusal);
    if (why.refusal.find(seen_.dir.string() + "/") == std::string::npos)
      add("refused without a file", why.refusal);
    if (seen_.second.refusal != why.refusal) add("refused otherwise again", seen_.second.refusal);
    if (!seen_.mended.has_started()) return add("refused when mended", seen_.mended.refusal);
    check_events(truth_.tag, truth_.events, seen_.mended.delivered);
  }

  void check_events(const std::string& tag, const sent_events& sent, const sent_events& got) {
    const auto lost = named_ranges(said_, tag);
    std::uint64_t missing = 0, first = 0;
    for (const auto& [seq, event] : sent) {
      if (event.is_delivered || got.contains(seq)) continue;
      const bool told = std::ranges::any_of(
          lost, [seq = seq](const range& one) { return one.after < seq && seq < one.before; });
      if (!told && missing++ == 0) first = seq;
    }
    if (missing > 0)
      add("event lost",
          std::to_string(missing) + " of " + tag + ", the first is " + event_id(first, tag));
    for (const auto& [seq, event] : got) {
      if (&got == &seen_.first.delivered && seq >= seen_.first.next_seq) continue; // added since
      const auto known = sent.find(seq);
      if (known == sent.end()) return add("strange event", event_id(seq, tag));
      if (!(known->second == event))
        return add("event changed", event_id(seq, tag) + ": " + event.body.substr(0, 60));
    }
  }

  void check_added() {
    const auto next = seen_.first.next_seq;
    if (!truth_.events.empty() && next <= truth_.events.rbegin()->first)
      add("id used again", "the next is " + event_id(next, truth_.tag));
    for (const auto* start : {&seen_.first, &seen_.second})
      for (const auto& [index, event] : seen_.added) {
        const auto found = start->delivered.find(next + index);
        if (found == start->delivered.end() || !(found->second == event))
          return add("new event lost", event_id(next + index, truth_.tag));
      }
  }

  void check_accounts() {
    const bool told = mentions(said_, "accounts.db");
    const auto& got = seen_.first.accounts;
    for (const auto& key : truth_.accounts.keys) {
      const auto found = std::ranges::find(got.keys, key.id, &key_record::id);
      if (found == got.keys.end() && !told) return add("key lost", key.id);
      if (found == got.keys.end()) continue;
      if (key.revoked_ms != 0 && found->revoked_ms == 0) return add("revoked key valid", key.id);
      if (!(*found == key) && !told) return add("key changed", key.id);
    }
    for (const auto& plan : truth_.accounts.plans)
      if (std::ranges::find(got.plans, plan) == got.plans.end() && !told)
        return add("plan lost", plan.name);
    if (got.size() > truth_.accounts.size() && !told) add("strange key", "");
  }

  void check_letters() {
    const auto by_id = [](const dead_letter& a, const dead_letter& b) {
      return a.seq == b.seq && a.tag == b.tag && a.sink == b.sink;
    };
    for (const auto& letter : truth_.letters) {
      const auto is_it = [&](const dead_letter& other) { return by_id(letter, other); };
      const auto found = std::ranges::find_if(seen_.first.letters, is_it);
      if (found != seen_.first.letters.end()) {
        if (found->body != letter.body || found->stream != letter.stream)
          add("letter changed", found->body.substr(0, 60));
        continue;
      }
      if (std::ranges::any_of(seen_.first.damaged_letters, is_it) ||
          mentions(said_, "dead-letters.db"))
        continue;
      return add("letter lost", event_id(letter.seq, letter.tag));
    }
  }

  void check_counters() {
    if (mentions(said_, "counters.db")) return;
    for (const auto& row : truth_.counters) {
      const auto found = std::ranges::find_if(seen_.first.counters, [&](const counter_row& other) {
        return other.client == row.client && other.at == row.at && other.used >= row.used;
      });
      if (found == seen_.first.counters.end())
        return add("counter more generous", std::to_string(row.client));
    }
  }

  void check_later_starts() {
    for (const auto* start : {&seen_.second, &seen_.third})
      if (!start->has_started()) return add("the next start refuses", start->refusal);
    for (const auto& [seq, event] : seen_.first.delivered)
      if (!seen_.second.delivered.contains(seq))
        return add("the second start delivers less", event_id(seq, truth_.tag));
    // A segment that is read in part is told until what is left of it is delivered.
    for (const auto& one : seen_.second.damaged)
      if (one.find("/journal/") == std::string::npos) add("told again", one);
    for (const auto& one : seen_.second.torn)
      add("told again", one);
    for (const auto* list : {&seen_.third.damaged, &seen_.third.torn, &seen_.third.rows})
      for (const auto& one : *list)
        // What is held for others is not confirmed here.
        if (one.find("/replicas/") == std::string::npos) add("told a third time", one);
  }

  const book& truth_;
  const story& seen_;
  sentences said_;
  std::vector<fault> faults_;
};

} // namespace

story tell(const base& of, const cut& done, const fs::path& dir, const fs::path& scratch) {
  story seen;
  seen.dir = dir;
  for (std::uint64_t i = 0; i < 3; ++i)
    seen.added[i] = {i == 2 ? "errors" : "default", "new " + std::to_string(i), "text/plain", "",
                     false};
  const auto before = fingerprint(dir);
  seen.check = check_once(dir, scratch);
  seen.check_changed_something = fingerprint(dir) != before;
  seen.first = live_once(dir, {&seen.added, false});
  seen.second = live_once(dir, {nullptr, true});
  if (seen.first.has_started()) {
    seen.third = live_once(dir, {});
    return seen;
  }
  for (const auto& file : done.files) {
    fs::remove(dir / file);
    if (fs::exists(of.dir / file)) fs::copy_file(of.dir / file, dir / file);
  }
  seen.mended = live_once(dir, {});
  return seen;
}

std::vector<fault> judge(const book& truth, const story& seen) {
  return judgement{truth, seen}.run();
}

} // namespace penstock::damage
