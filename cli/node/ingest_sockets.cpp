#include "cli/node/ingest_sockets.hpp"

#include "cli/config/address.hpp"
#include "cli/config/node_memory.hpp"

#include <thread>

namespace penstock {

result<void> ingest_sockets::start() {
  const auto& settings = core_.settings.http;
  auto listen = parse_host_port(settings.listen);
  if (!listen) return error{errc::config, "http.listen is no address: " + settings.listen};
  if (auto free = require_free(listen->host, listen->port); !free) return free.error();
  sockets_.resize(lane_count(settings, std::thread::hardware_concurrency()));
  auto port = listen->port;
  for (auto& socket : sockets_) {
    auto opened = open_listener(listen->host, port);
    if (!opened) return opened.error();
    socket = std::move(*opened);
    port = socket.port(); // of port 0, what the first was given
  }
  const bool v6 = listen->host.find(':') != std::string::npos;
  address_ = (v6 ? "[" + listen->host + "]" : listen->host) + ":" + std::to_string(port);
  return {};
}

} // namespace penstock
