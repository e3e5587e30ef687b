// Searches for damage that is silent: damages copies of data directories, starts on them, and
// judges. See docs/architecture.md.
#include "tests/crash/damage/export.hpp"
#include "tests/crash/damage/judge.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include <sys/wait.h>
#include <unistd.h>

namespace fs = std::filesystem;
using namespace penstock::damage;

namespace {

constexpr unsigned max_case_s = 60; // a start that loops is ended, and is a fault
constexpr std::size_t max_examples = 40;

struct options {
  std::uint64_t seed = 1;
  std::uint64_t first = 0;
  std::uint64_t cases = 300;
  bool is_one_case = false;
  std::uint64_t every = 50; ///< of the cases that are exported
  fs::path exports;         ///< cases are written here, not judged; see export_case()
};

int usage() {
  std::cerr << "usage: damage_search [--seed S] [--cases N] [--first N] [--case N]\n"
               "                     [--export DIR [--every N]]\n";
  return 64;
}

/// False where an argument is none.
bool parse(int argc, char** argv, options& out) {
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 == argc) return false;
    const std::string value = argv[i + 1];
    if (name == "--export") {
      out.exports = value;
      continue;
    }
    char* end = nullptr;
    const auto number = std::strtoull(value.c_str(), &end, 10);
    if (value.empty() || *end != '\0') return false;
    if (name == "--seed")
      out.seed = number;
    else if (name == "--first")
      out.first = number;
    else if (name == "--cases")
      out.cases = number;
    else if (name == "--every")
      out.every = std::max<std::uint64_t>(1, number);
    else if (name == "--case")
      out.first = number, out.cases = 1, out.is_one_case = true;
    else
      return false;
  }
  return true;
}

/// A damaged copy of a base in `place`/data.
struct damaged_copy {
  const base& of;
  fs::path dir;
  cut done;
};

damaged_copy make_case(const std::vector<base>& bases, std::uint64_t seed, std::uint64_t number,
                       const fs::path& place) {
  std::seed_seq words{seed, number, seed >> 32};
  chance random{words};
  const auto& of = bases[random() % bases.size()];
  const auto dir = place / "data";
  fs::remove_all(place);
  fs::create_directories(place / "scratch");
  fs::copy(of.dir, dir, fs::copy_options::recursive);
  return {of, dir, damage_copy(of, dir, random)};
}

std::string heading(const damaged_copy& made) {
  return "class\t" + made.done.kind + ": " + made.done.part + "\nwhat\t" + made.of.name + ": " +
         made.done.detail + '\n';
}

/// What a case is reported by: lines of "key<TAB>value".
std::string run_case(const std::vector<base>& bases, std::uint64_t seed, std::uint64_t number,
                     const fs::path& place, bool says_all) {
  const auto made = make_case(bases, seed, number, place);
  const auto& [of, dir, done] = made;
  std::ostringstream out;
  out << heading(made);
  const auto seen = tell(of, done, dir, place / "scratch");
  for (const auto& wrong : judge(of.truth, seen)) {
    const auto excuse = excuse_for(done, wrong);
    if (excuse.empty())
      out << "fault\t" << wrong.what << ": " << wrong.detail << '\n';
    else
      out << "excused\t" << excuse << '\n';
  }
  const auto& first = seen.first;
  out << "verdict\t"
      << (!first.has_started() ? "refused"
          : first.damaged.empty() && first.torn.empty() && first.rows.empty() &&
                  first.damaged_letters.empty()
              ? "whole"
              : "told")
      << '\n';
  if (!says_all) return out.str();
  for (const auto* start : {&seen.first, &seen.second, &seen.third}) {
    out << "said\t-- start --\n";
    for (const auto* list : {&start->damaged, &start->torn, &start->rows})
      for (const auto& one : *list)
        out << "said\t" << one << '\n';
    if (!start->has_started()) out << "said\tcan't start: " << start->refusal << '\n';
  }
  out << "said\t-- check --\n";
  for (const auto* list : {&seen.check.damaged, &seen.check.torn})
    for (const auto& one : *list)
      out << "said\t" << one << '\n';
  return out.str();
}

/// In a process of its own, so that a crash or a loop is one more verdict.
std::string run_apart(const std::vector<base>& bases, const options& how, std::uint64_t number,
                      const fs::path& place) {
  int ends[2];
  if (pipe(ends) != 0) std::exit(70);
  const auto child = fork();
  if (child == 0) {
    close(ends[0]);
    alarm(max_case_s);
    const auto text = run_case(bases, how.seed, number, place, how.is_one_case);
    for (std::size_t at = 0; at < text.size();) {
      const auto written = write(ends[1], text.data() + at, text.size() - at);
      if (written <= 0) _exit(1);
      at += static_cast<std::size_t>(written);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFSIGNALED(status) && WEXITSTATUS(status) == 0) return text;
  const auto again = make_case(bases, how.seed, number, place);
  return heading(again) + "fault\tthe process ended with " + std::to_string(status) +
         "\nverdict\tcrash\n";
}

struct tally {
  std::map<std::string, std::uint64_t> classes, verdicts, excused, faults;
  std::vector<std::string> examples;

  void add(std::uint64_t number, const std::string& report) {
    std::istringstream lines{report};
    std::string what, verdict;
    std::set<std::string> excuses_here;
    bool is_faulty = false;
    for (std::string line; std::getline(lines, line);) {
      const auto tab = line.find('\t');
      const auto key = line.substr(0, tab),
                 value = tab == std::string::npos ? "" : line.substr(tab + 1);
      if (key == "class") ++classes[value];
      if (key == "what") what = value;
      if (key == "verdict") verdict = value;
      if (key == "excused") excuses_here.insert(value);
      if (key == "said") std::cerr << value << '\n';
      if (key != "fault") continue;
      is_faulty = true;
      ++faults[value.substr(0, value.find(':'))];
      examples.push_back("case " + std::to_string(number) + ": " + what + "\n    " + value);
    }
    for (const auto& one : excuses_here)
      ++excused[one];
    ++verdicts[is_faulty ? "SILENT" : !excuses_here.empty() ? "excused" : verdict];
  }
};

void print(const char* title, const std::map<std::string, std::uint64_t>& counts) {
  std::cout << title << '\n';
  for (const auto& [name, count] : counts)
    std::cout << "  " << count << '\t' << name << '\n';
}

void print(const tally& all, const options& how, double seconds) {
  print("cases by class of damage:", all.classes);
  print("verdicts:", all.verdicts);
  std::cout << "excused, and why:\n";
  for (const auto& one : excuses()) {
    const auto found = all.excused.find(one.name);
    const auto count = found == all.excused.end() ? 0 : found->second;
    std::cout << "  " << count << '\t' << one.name << ": " << one.reason << '\n';
  }
  print("faults:", all.faults);
  for (std::size_t i = 0; i < std::min(all.examples.size(), max_examples); ++i)
    std::cout << all.examples[i] << '\n';
  std::cout << how.cases << " cases of seed " << how.seed << " in " << seconds << " s\n";
}

int export_cases(const std::vector<base>& bases, const options& how, const fs::path& place) {
  for (auto i = how.first; i < how.first + how.cases; i += how.every) {
    const auto to = how.exports / std::to_string(i);
    const auto made = make_case(bases, how.seed, i, to);
    export_case(made.of, made.done, to);
  }
  std::error_code ignored;
  fs::remove_all(place, ignored);
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  options how;
  if (!parse(argc, argv, how)) return usage();
  const fs::path memory = "/dev/shm";
  auto name =
      ((fs::is_directory(memory) ? memory : fs::temp_directory_path()) / "penstock-damage-XXXXXX")
          .string();
  if (mkdtemp(name.data()) == nullptr) return 70;
  const fs::path place = name;
  const auto began = std::chrono::steady_clock::now();
  const auto bases = make_bases(place / "bases", how.seed);
  if (!how.exports.empty()) return export_cases(bases, how, place);
  tally all;
  for (std::uint64_t i = how.first; i < how.first + how.cases; ++i)
    all.add(i, run_apart(bases, how, i, place / "case"));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  print(all, how, took.count());
  std::error_code ignored;
  fs::remove_all(place, ignored);
  return all.faults.empty() ? 0 : 1;
}
