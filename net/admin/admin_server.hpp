// The admin plane: its own thread and sockets, never those of the request path.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/base/drain_status.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/node_state.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/usage/usage_rebuilder.hpp"
#include "net/admin/admin_settings.hpp"
#include "net/telemetry/metrics_page.hpp"
#include "storage/base/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace penstock {

inline constexpr std::uint32_t max_admin_header_bytes = 16u << 10;
/// A connection without a good request so far has this long to the end of a header…
inline constexpr std::chrono::seconds admin_stranger_timeout{10};
inline constexpr std::chrono::seconds admin_idle_timeout{75};  ///< …others this long
inline constexpr std::chrono::seconds admin_body_timeout{30};  ///< from there until the body is
inline constexpr std::chrono::seconds admin_write_timeout{60}; ///< for a whole answer
/// Of the body of a refused request, so much is thrown away before the connection goes on…
inline constexpr std::uint64_t max_admin_skipped_bytes = 64u << 10;
/// …and for so long before it ends, for clients that read only when they have written.
inline constexpr std::chrono::seconds admin_linger{2};
/// So much of an answer each connection may have beside admin_settings::max_answers_bytes.
inline constexpr std::uint64_t own_answer_bytes = 16u << 10;

/// What the server is made of; the references outlive it.
struct admin_parts {
  admin_settings settings;
  caf::actor_system& sys;
  queue_handle queue; ///< see queue_actor.hpp
  const node_state& node;
  const metrics_sources& metrics;
  accounts_handle accounts{};   ///< see accounts_actor.hpp; without one keys and plans are a 503
  usage_reports_handle usage{}; ///< of this node; null: usage is not counted
  usage_reports_handle cluster_usage{};     ///< see usage_gatherer.hpp; null: this node is alone
  usage_rebuilder_handle usage_rebuilder{}; ///< see usage_rebuilder.hpp; null likewise
  std::shared_ptr<usage_rebuild_status> usage_rebuild{};
  dead_letters_handle dead_letters{};    ///< see dead_letters_actor.hpp; null: 503
  replay_handle replays{};               ///< see replay_actor.hpp; null: 503
  std::shared_ptr<drain_status> drain{}; ///< null: 503
  std::function<void()> begin_drain{};   ///< called once it was asked for on the board
};

/// Runs from start() to its destruction, which closes every connection at once.
class admin_server {
 public:
  /// Errors: errc::config for a malformed address, errc::unavailable when it can't be bound.
  static result<std::unique_ptr<admin_server>> start(admin_parts parts);
  virtual ~admin_server() = default;

  /// The port it listens on; of use when the configured one is 0.
  virtual std::uint16_t port() const = 0;
};

} // namespace penstock
