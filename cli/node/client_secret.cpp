#include "cli/node/client_secret.hpp"

#include "storage/base/file_list.hpp"
#include "storage/base/files.hpp"
#include "storage/stores/store_opening.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <spdlog/spdlog.h>

#include <array>
#include <string_view>

namespace penstock {

namespace {

constexpr std::size_t secret_bytes = 32;
constexpr const char* secret_file = "client-secret";
// Beside the secret, since earlier versions take only a file of exactly its length.
constexpr const char* checksum_file = "client-secret.sha256";

// As sha256sum(1) writes and checks it. Of so many random bytes it gives nothing away.
std::string checksum_of(const std::string& secret) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), digest.data());
  constexpr std::string_view hex = "0123456789abcdef";
  std::string text;
  for (const auto byte : digest)
    text.append({hex[byte >> 4], hex[byte & 15]});
  return text + "  " + secret_file + "\n";
}

error damaged(const std::filesystem::path& path, std::string what) {
  return error{
      errc::corrupt,
      path.string() + " " + std::move(what) +
          ". Restore it from a backup: API keys, counters of limits and idempotency keys are "
          "known by hashes that only this secret makes. If there is no backup, remove " +
          path.string() + " and " + (path.parent_path() / checksum_file).string() +
          ": with the new secret no API key works any more, all have to be made again, all "
          "limits begin anew, and repeats of events are stored again. If the secret is known "
          "to be whole, remove the checksum only"};
}

std::string made_anew(const std::filesystem::path& path) {
  return path.string() + " is not there and is made anew: API keys, counters and idempotency keys "
                         "of before are not "
                         "recognised";
}

result<std::string> make_secret(const std::filesystem::path& path) {
  if (std::filesystem::exists(path.parent_path() / "accounts.db"))
    spdlog::warn("{}", made_anew(path));
  std::string secret(secret_bytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(secret.data()), secret_bytes) != 1)
    return error{errc::io, "the system gives no random bytes"};
  // In this order: a checksum alone says that the secret is lost.
  if (auto written = write_file(path, secret); !written) return written.error();
  if (auto written = write_file(path.parent_path() / checksum_file, checksum_of(secret)); !written)
    return written.error();
  return secret;
}

result<std::string> own_secret(const std::filesystem::path& data_dir) {
  const auto path = data_dir / secret_file;
  const auto checksum = read_file(data_dir / checksum_file);
  if (!checksum && checksum.error().code != errc::not_found) return checksum.error();
  keep_private(path);
  auto secret = read_file(path);
  if (!secret && secret.error().code != errc::not_found) return secret.error();
  if (!secret && checksum) return damaged(path, "is gone");
  if (!secret) return make_secret(path);
  if (secret->size() != secret_bytes) return damaged(path, "is damaged");
  if (checksum && *checksum != checksum_of(*secret))
    return damaged(path, "does not match " + std::string{checksum_file} + " beside it");
  // An earlier version wrote none.
  if (!checksum)
    if (auto written = write_file(data_dir / checksum_file, checksum_of(*secret)); !written)
      return written.error();
  return secret;
}

} // namespace

std::string secret_check_of(const std::string& secret) {
  constexpr std::string_view purpose = "penstock: do nodes have the same secret?";
  constexpr std::size_t check_bytes = 8; // enough to tell a mistake
  std::array<unsigned char, SHA256_DIGEST_LENGTH> code{};
  unsigned length = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(purpose.data()), purpose.size(), code.data(),
       &length);
  std::string text;
  for (std::size_t i = 0; i < check_bytes; ++i)
    text += fmt::format("{:02x}", code[i]);
  return text;
}

std::string missing_secret(const std::filesystem::path& data_dir) {
  std::error_code fault;
  for (const char* file : {secret_file, checksum_file})
    if (std::filesystem::exists(data_dir / file, fault)) return {};
  // A node in a cluster never had one.
  return file_list{data_dir / stores_file_name}.contains(secret_file)
             ? made_anew(data_dir / secret_file)
             : std::string{};
}

result<std::string> client_secret(const cluster_settings& cluster,
                                  const std::filesystem::path& data_dir) {
  if (!cluster.secret.empty()) return cluster.secret;
  if (cluster.directory != directory_kind::none) {
    spdlog::warn("cluster.secret is not set: client hashes are keyed with the cluster's name");
    return "cluster " + cluster.name;
  }
  auto secret = own_secret(data_dir);
  if (secret)
    (void)file_list{data_dir / stores_file_name}.add(
        secret_file); // else a loss would not be noticed
  return secret;
}

} // namespace penstock
