#include "cli/commands/commands.hpp"

int main(int argc, char** argv) {
  return penstock::run_command_line(argc, argv);
}
