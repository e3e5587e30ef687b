// The program's command line, run inside the test.
#pragma once

#include "cli/commands/commands.hpp"

#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace penstock::test {

struct run_outcome {
  int exit = 0;
  std::string out, err;
};

inline run_outcome run_penstock(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv{"penstock"};
  for (const auto& argument : arguments)
    argv.push_back(argument.c_str());
  std::ostringstream out, err;
  auto* const real_out = std::cout.rdbuf(out.rdbuf());
  auto* const real_err = std::cerr.rdbuf(err.rdbuf());
  const int exit = run_command_line(static_cast<int>(argv.size()), argv.data());
  std::cout.rdbuf(real_out);
  std::cerr.rdbuf(real_err);
  return {exit, out.str(), err.str()};
}

} // namespace penstock::test
