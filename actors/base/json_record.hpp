// Reading one JSON object that somebody else wrote: fields by name, each bounded.
#pragma once

#include <boost/json.hpp>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// A field that is missing leaves its target as it was; one that is unknown is ignored, as it may
/// be a newer version's. One of another type, or beyond its bound, makes the whole record bad.
class json_record {
 public:
  /// Texts longer than `max_bytes` are bad.
  json_record(std::string_view text, std::size_t max_bytes);
  /// `value` must outlive it.
  explicit json_record(const boost::json::value& value);
  json_record(const json_record&) = delete;
  json_record& operator=(const json_record&) = delete;

  /// False: it is no JSON object, or a field was bad. To be asked when all fields were read.
  bool ok() const { return ok_; }
  void fail() { ok_ = false; }

  void text(std::string_view name, std::size_t max_bytes, std::string& into);
  void texts(std::string_view name, std::size_t max_items, std::size_t max_bytes,
             std::vector<std::string>& into);
  void flag(std::string_view name, bool& into);
  template <std::integral Number>
  void number(std::string_view name, Number& into) {
    const auto* value = find(name);
    if (value == nullptr) return;
    boost::json::error_code failed;
    const auto got = value->to_number<Number>(failed);
    if (failed)
      ok_ = false;
    else
      into = got;
  }
  /// Null when the field is missing, or is no array of at most `max_items`.
  const boost::json::array* array(std::string_view name, std::size_t max_items);

 private:
  const boost::json::value* find(std::string_view name) const;
  bool take_text(const boost::json::value& value, std::size_t max_bytes, std::string& into);

  boost::json::value parsed_;
  const boost::json::object* object_ = nullptr;
  bool ok_ = true;
};

} // namespace penstock
