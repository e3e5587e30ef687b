// Members and views as the directory's values: JSON, which people can read with `nats kv get`.
#pragma once

#include "actors/directory/directory.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace penstock {

inline constexpr std::size_t max_member_json_bytes = 4 * 1024;
/// Of 2 * max_members entries with the longest addresses.
inline constexpr std::size_t max_view_json_bytes = 256 * 1024;

std::string member_json(const member_record& member);
/// Nothing when it is no member: not JSON, no address or incarnation, or a field of another type or
/// size. Fields that are not known are passed over.
std::optional<member_record> read_member(std::string_view json);

std::string view_json(const cluster_view& view);
/// As read_member(); also nothing when an address is there twice, or more than max_members are.
/// Sorted by address.
std::optional<cluster_view> read_view(std::string_view json);

} // namespace penstock
