#include "cli/client_secret.hpp"

#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace penstock {

namespace {

constexpr std::size_t secret_bytes = 32;
constexpr const char* secret_file = "client-secret";

result<std::string> make_secret(const std::filesystem::path& path) {
  std::string secret(secret_bytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(secret.data()), secret_bytes) != 1)
    return error{errc::io, "the system gives no random bytes"};
  auto fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool written = fd >= 0 && ::write(fd, secret.data(), secret.size()) == ssize_t{secret_bytes} &&
                 ::fsync(fd) == 0;
  if (fd >= 0) ::close(fd);
  if (!written) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    return error{errc::io, "can't write " + path.string()};
  }
  return secret;
}

} // namespace

result<std::string> client_secret(const cluster_settings& cluster,
                                  const std::filesystem::path& data_dir) {
  if (!cluster.secret.empty()) return cluster.secret;
  if (cluster.directory != directory_kind::none) {
    spdlog::warn("cluster.secret is not set: client hashes are keyed with the cluster's name");
    return "cluster " + cluster.name;
  }
  auto path = data_dir / secret_file;
  std::ifstream file(path, std::ios::binary);
  if (!file) return make_secret(path);
  std::string secret{std::istreambuf_iterator<char>{file}, {}};
  if (secret.size() != secret_bytes)
    return error{errc::corrupt, path.string() + " is damaged; remove it, and a new one is made"};
  return secret;
}

} // namespace penstock
