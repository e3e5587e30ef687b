// A connection of the ingest plane without a network: bytes in, requests out.
#pragma once

#include "net/http/session.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::fuzz {

/// A request as the session handed it over.
struct taken_request {
  request_method method = request_method::other;
  std::string target;
  std::string body;
  std::vector<std::string> fields; ///< by request_field, then those of CloudEvents
  std::uint32_t present = 0;
  bool keep_alive = false;

  bool operator==(const taken_request&) const = default;
};

struct connection_outcome {
  std::vector<taken_request> requests;
  unsigned refused = 0; ///< the status; 0: it was not
};

inline constexpr std::size_t rig_max_header_bytes = 2'000;
inline constexpr std::size_t rig_max_body_bytes = 20'000;

/// What comes of these bytes when they arrive in pieces that end at `cuts` (in order, some may be
/// beyond the end). Each request is answered at once. The connection stays open to the end.
connection_outcome run_connection(std::string_view bytes, const std::vector<std::size_t>& cuts);

} // namespace penstock::fuzz
