#include "actors/accounts/account_json.hpp"

#include "actors/accounts/account_book.hpp"
#include "actors/base/error_text.hpp"
#include "actors/base/json_record.hpp"

#include <fmt/format.h>

#include <charconv>

namespace penstock {

namespace {

namespace json = boost::json;

constexpr std::size_t max_id_bytes = 64;
constexpr std::size_t max_restrictions_read = 256, max_restriction_bytes = 4 * 1024;

json::array texts_json(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts)
    out.emplace_back(text);
  return out;
}

std::string hash_text(const key_hash& hash) {
  std::string out;
  for (const auto byte : hash)
    out += fmt::format("{:02x}", byte);
  return out;
}

bool is_version(std::uint64_t version) {
  return version != 0 && version <= max_record_version;
}

bool read_hash(const std::string& text, key_hash& out) {
  if (text.size() != 2 * out.size()) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const char* digits = text.data() + 2 * i;
    const auto read = std::from_chars(digits, digits + 2, out[i], 16);
    if (read.ec != std::errc{} || read.ptr != digits + 2) return false;
  }
  return true;
}

std::optional<account_record> read_key(const directory_record& record) {
  json_record in{record.value, max_directory_value_bytes};
  key_record out;
  std::string hash;
  in.text("id", max_id_bytes, out.id);
  in.number("version", out.version);
  in.text("account", max_id_bytes * 2, out.account);
  in.text("plan", max_id_bytes, out.plan);
  in.text("hash", 2 * key_hash_size, hash);
  in.text("shown", api_key_shown_size, out.shown);
  in.texts("streams", max_restrictions_read, max_restriction_bytes, out.streams);
  in.texts("origins", max_restrictions_read, max_restriction_bytes, out.origins);
  in.texts("networks", max_restrictions_read, max_restriction_bytes, out.networks);
  in.number("created_ms", out.created_ms);
  in.number("expires_ms", out.expires_ms);
  in.number("revoked_ms", out.revoked_ms);
  if (!in.ok() || directory_name(out) != record.key || !read_hash(hash, out.hash) ||
      !is_version(out.version) || !is_account_name(out.account) || !is_name(out.plan))
    return std::nullopt;
  return out;
}

std::optional<account_record> read_plan(const directory_record& record) {
  json_record in{record.value, max_directory_value_bytes};
  plan_record out;
  in.text("name", max_id_bytes, out.name);
  in.number("version", out.version);
  in.text("limits", max_directory_value_bytes, out.limits);
  in.number("changed_ms", out.changed_ms);
  in.number("deleted_ms", out.deleted_ms);
  if (!in.ok() || directory_name(out) != record.key || !is_version(out.version) ||
      !is_name(out.name))
    return std::nullopt;
  return out;
}

} // namespace

std::string directory_name(const key_record& key) {
  return "key." + key.id;
}

std::string directory_name(const plan_record& rules) {
  return "plan." + rules.name;
}

directory_record to_directory(const key_record& key) {
  return {directory_name(key), json::serialize(json::object{{"id", key.id},
                                                            {"version", key.version},
                                                            {"account", key.account},
                                                            {"plan", key.plan},
                                                            {"hash", hash_text(key.hash)},
                                                            {"shown", key.shown},
                                                            {"streams", texts_json(key.streams)},
                                                            {"origins", texts_json(key.origins)},
                                                            {"networks", texts_json(key.networks)},
                                                            {"created_ms", key.created_ms},
                                                            {"expires_ms", key.expires_ms},
                                                            {"revoked_ms", key.revoked_ms}})};
}

directory_record to_directory(const plan_record& rules) {
  return {directory_name(rules), json::serialize(json::object{{"name", rules.name},
                                                              {"version", rules.version},
                                                              {"limits", rules.limits},
                                                              {"changed_ms", rules.changed_ms},
                                                              {"deleted_ms", rules.deleted_ms}})};
}

std::optional<account_record> from_directory(const directory_record& record) {
  if (record.key.starts_with("key.")) return read_key(record);
  if (record.key.starts_with("plan.")) return read_plan(record);
  return std::nullopt;
}

} // namespace penstock
