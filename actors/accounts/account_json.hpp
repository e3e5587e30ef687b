// Keys and plans as records of the directory: a name and JSON each.
#pragma once

#include "actors/directory/directory.hpp"
#include "storage/stores/account_store.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace penstock {

/// "key.ID", "plan.NAME".
std::string directory_name(const key_record& key);
std::string directory_name(const plan_record& rules);

directory_record to_directory(const key_record& key);
directory_record to_directory(const plan_record& rules);

/// Nothing when it is neither a key nor a plan of that name: not JSON, a field missing that must be
/// there, or one of another type or size. Fields that are not known are passed over.
using account_record = std::variant<key_record, plan_record>;
std::optional<account_record> from_directory(const directory_record& record);

} // namespace penstock
