// One piece of damage to a data directory, drawn from a seed.
#pragma once

#include "tests/crash/damage/base.hpp"

#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace penstock::damage {

using chance = std::mt19937_64;

/// What was done to which files.
struct cut {
  std::string kind;               ///< bit, sector, page, truncate, missing, swap, older
  std::string part;               ///< which class of files, and which bytes of them
  std::string detail;             ///< for people
  std::vector<std::string> files; ///< relative to the data directory
};

/// Damages `dir`, a copy of the base's directory. The same numbers give the same cut of the same
/// base.
cut damage_copy(const base& of, const std::filesystem::path& dir, chance& random);

/// "segment log", "store", … of a file by its path in the data directory.
std::string class_of(const std::filesystem::path& file);

} // namespace penstock::damage
