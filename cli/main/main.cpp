#include "cli/config.hpp"
int main() { return 0; }
