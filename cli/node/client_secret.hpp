// The secret that keys the hash of client identities.
#pragma once

#include "actors/cluster/cluster_settings.hpp"
#include "storage/base/result.hpp"

#include <filesystem>
#include <string>

namespace penstock {

/// cluster.secret if it is set. A node alone has one of its own, made at random and kept in
/// `data_dir` for its owner's eyes only, with a checksum in a file beside it: errc::corrupt if the
/// two don't fit, or only the checksum is there. A cluster without a secret shares one derived from
/// its name, which spreads clients evenly but hides nothing from who knows the name.
result<std::string> client_secret(const cluster_settings& cluster,
                                  const std::filesystem::path& data_dir);

/// What tells nodes whether they have the same secret, and nobody else anything of it.
std::string secret_check_of(const std::string& secret);

/// What to say where a node that had a secret of its own has neither that nor its checksum any
/// more, so that a start makes another; "" where that is not known.
std::string missing_secret(const std::filesystem::path& data_dir);

} // namespace penstock
