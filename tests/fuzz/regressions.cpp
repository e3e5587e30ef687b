// Runs a fuzz target over every file of a directory, without libFuzzer: what was found once is not
// found again. Usage: fuzz_regressions TARGET DIRECTORY
#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace penstock::fuzz {

namespace {

std::vector<const known_target*>& known_targets() {
  static std::vector<const known_target*> all;
  return all;
}

} // namespace

known_target::known_target(const char* its_name, target_function its_run)
    : name(its_name), run(its_run) {
  known_targets().push_back(this);
}

} // namespace penstock::fuzz

int main(int count, char** arguments) {
  using namespace penstock::fuzz;
  const auto& all = known_targets();
  const auto target = std::find_if(all.begin(), all.end(), [&](const known_target* each) {
    return count == 3 && std::string_view{each->name} == arguments[1];
  });
  if (target == all.end()) {
    std::cerr << "usage: fuzz_regressions TARGET DIRECTORY, where TARGET is one of";
    for (const auto* each : all)
      std::cerr << ' ' << each->name;
    std::cerr << '\n';
    return 64;
  }
  std::size_t inputs = 0;
  for (const auto& file : std::filesystem::directory_iterator{arguments[2]}) {
    std::cerr << file.path().filename().string() << '\n';
    std::ifstream in{file.path(), std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    // At the very end of a buffer, so that the address sanitizer sees what is read beyond it.
    const std::vector<char> exact{text.begin(), text.end()};
    (*target)->run({exact.data(), exact.size()});
    ++inputs;
  }
  std::cout << inputs << " inputs\n";
  return inputs == 0 ? 1 : 0;
}
