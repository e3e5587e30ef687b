#include "cli/base/problems.hpp"

#include <fmt/format.h>

#include <sstream>

namespace penstock {

void problem_list::add(std::string problem) {
  if (problems_.size() < max_problems_shown) {
    problems_.push_back(std::move(problem));
  } else {
    ++unshown_;
  }
}

std::string problem_list::text() const {
  auto text = fmt::format("{}", fmt::join(problems_, "\n"));
  if (unshown_ > 0) text += fmt::format("\nand {} more", unshown_);
  return text;
}

std::string place(const value_source& source, const toml::source_region& at) {
  const auto line = at.begin.line;
  return source.has_lines && line > 0 ? fmt::format("{}:{}", source.name, line) : source.name;
}

void reporter::operator()(const toml::node& value, std::string_view what) const {
  plain(value, fmt::format("{}; write {}, for example {}", what, type, example));
}

void reporter::plain(const toml::node& value, std::string_view what) const {
  problems->add(fmt::format("{}: {}: {}", place(source, value.source()), key, what));
}

std::string shown(const toml::node& value) {
  if (value.is_table()) return "a table";
  if (value.is_array()) return "a list";
  if (const auto* text = value.as_string()) return quote(text->get());
  std::ostringstream out;
  value.visit([&](const auto& concrete) { out << concrete; });
  return out.str();
}

} // namespace penstock
