// What is wrong with a configuration, collected so that all of it is told at once.
#pragma once

#include "actors/base/error_text.hpp"

#include <toml++/toml.h>

#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Beyond this many the rest is only counted: a wrong file given by mistake stays readable.
inline constexpr std::size_t max_problems_shown = 50;

class problem_list {
 public:
  void add(std::string problem);
  bool empty() const { return problems_.empty(); }
  std::size_t size() const { return problems_.size() + unshown_; }
  /// One problem a line.
  std::string text() const;

 private:
  std::vector<std::string> problems_;
  std::size_t unshown_ = 0;
};

/// Where a value came from: "node.toml", "environment PENSTOCK_HTTP_LISTEN" or "--set".
struct value_source {
  std::string name;
  bool has_lines = false; ///< true for files
};

/// "node.toml:12", or the name alone where there are no lines.
std::string place(const value_source& source, const toml::source_region& at);

/// Tells the list what is wrong with one value, with its place, its key and what would do.
struct reporter {
  problem_list* problems = nullptr;
  value_source source;
  std::string key;
  std::string type;    ///< of the option, in words
  std::string example; ///< a value that would do, as TOML

  /// "node.toml:12: http.threads: 999 is out of range; write ..., for example 4"
  void operator()(const toml::node& value, std::string_view what) const;
  /// The same without "write ...": `what` itself says what would do.
  void plain(const toml::node& value, std::string_view what) const;
};

/// A value as an error shows it: at most 60 characters, control characters escaped.
std::string shown(const toml::node& value);

} // namespace penstock
