// The numbers by which actors of one node know members: small, and for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// In the order in which they came; this node first. Not synchronised.
class member_numbers {
 public:
  /// Gives it the next one if it has none.
  std::uint16_t add(const std::string& address) {
    const auto [known, fresh] =
        numbers_.emplace(address, static_cast<std::uint16_t>(addresses_.size()));
    if (fresh) addresses_.push_back(address);
    return known->second;
  }
  /// Nothing: it has none.
  std::optional<std::uint16_t> find(const std::string& address) const {
    const auto known = numbers_.find(address);
    return known == numbers_.end() ? std::nullopt : std::optional{known->second};
  }
  /// Null: nobody has it.
  const std::string* address_of(std::uint16_t number) const {
    return number < addresses_.size() ? &addresses_[number] : nullptr;
  }
  std::size_t size() const { return addresses_.size(); }

 private:
  std::map<std::string, std::uint16_t> numbers_;
  std::vector<std::string> addresses_; // by number
};

} // namespace penstock
