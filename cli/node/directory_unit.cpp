#include "cli/node/directory_unit.hpp"

#include "actors/cluster/cluster_settings.hpp"
#include "actors/directory/directory_writer.hpp"
#include "net/directory/nats_directory.hpp"

namespace penstock {

result<void> directory_unit::start() {
  const auto& cluster = core_.settings.cluster;
  if (cluster.directory != directory_kind::nats) return {};
  auto made =
      make_nats_directory(cluster.nats, cluster.name, "penstock " + core_.settings.node_name);
  if (!made) return made.error();
  writer_ = core_.system.spawn<caf::detached>(directory_writer,
                                              std::shared_ptr<directory>{std::move(*made)});
  return {};
}

} // namespace penstock
