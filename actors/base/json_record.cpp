#include "actors/base/json_record.hpp"

namespace penstock {

json_record::json_record(std::string_view text, std::size_t max_bytes) {
  boost::json::error_code failed;
  if (text.size() <= max_bytes) parsed_ = boost::json::parse(text, failed);
  object_ = failed ? nullptr : parsed_.if_object();
  ok_ = object_ != nullptr;
}

json_record::json_record(const boost::json::value& value)
    : object_{value.if_object()}, ok_{object_ != nullptr} {}

const boost::json::value* json_record::find(std::string_view name) const {
  return object_ == nullptr ? nullptr : object_->if_contains(name);
}

bool json_record::take_text(const boost::json::value& value, std::size_t max_bytes,
                            std::string& into) {
  const auto* text = value.if_string();
  if (text == nullptr || text->size() > max_bytes) return false;
  into.assign(text->data(), text->size());
  return true;
}

void json_record::text(std::string_view name, std::size_t max_bytes, std::string& into) {
  if (const auto* value = find(name); value != nullptr && !take_text(*value, max_bytes, into))
    ok_ = false;
}

void json_record::texts(std::string_view name, std::size_t max_items, std::size_t max_bytes,
                        std::vector<std::string>& into) {
  const auto* items = array(name, max_items);
  if (items == nullptr) return;
  into.assign(items->size(), {});
  for (std::size_t i = 0; i < items->size(); ++i)
    if (!take_text((*items)[i], max_bytes, into[i])) ok_ = false;
}

void json_record::flag(std::string_view name, bool& into) {
  const auto* value = find(name);
  if (value == nullptr) return;
  if (const auto* flag = value->if_bool())
    into = *flag;
  else
    ok_ = false;
}

const boost::json::array* json_record::array(std::string_view name, std::size_t max_items) {
  const auto* value = find(name);
  if (value == nullptr) return nullptr;
  const auto* items = value->if_array();
  if (items != nullptr && items->size() <= max_items) return items;
  ok_ = false;
  return nullptr;
}

} // namespace penstock
