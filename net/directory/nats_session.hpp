// One connection to a NATS server, and some JetStream key-value buckets, which are watched over it
// from their beginning. When anything is lost of it, all of it is: a new session tells everything
// again.
#pragma once

#include "net/directory/nats_inbox.hpp"
#include "net/nats/nats_connection.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace penstock {

/// A bucket as it is made when it is missing; one that is there is taken as it is.
struct nats_bucket {
  std::string name;
  std::string description;
  std::int64_t max_bytes = 0;
  std::int32_t max_value_bytes = 0;
  std::uint8_t history = 1;
};

/// What a bucket holds, or what changed in it. The views last until the next call of next().
struct nats_change {
  std::size_t bucket = 0; ///< index
  std::string_view key;
  std::string_view value;
  bool gone = false; ///< the key was deleted
  std::uint64_t revision = 0;
};

/// next() is for one thread, put(), remove() and hang_up() are for any.
class nats_session {
 public:
  static constexpr std::size_t bucket_count = 2;
  using buckets = std::array<nats_bucket, bucket_count>;

  /// The longest that a write may take: less than a member may be silent.
  static constexpr std::chrono::milliseconds call_timeout_ms{750};
  /// The longest that the socket may take nothing; comes on top of that, once.
  static constexpr std::chrono::milliseconds write_timeout_ms{250};
  /// The longest that one server may take to let us in…
  static constexpr std::chrono::milliseconds connect_timeout_ms{1000};
  /// …and one step of finding, or making, and watching buckets.
  static constexpr std::chrono::milliseconds setup_timeout_ms{2000};
  /// So often the server says that it has nothing to say…
  static constexpr std::chrono::milliseconds heartbeat_ms{1000};
  /// …and so long it may not say even that: then the session is lost.
  static constexpr std::chrono::milliseconds max_silence_ms{3000};

  /// Connects, makes buckets that are missing, begins to watch. Errors: unavailable, with the fix
  /// where there is one.
  static result<std::unique_ptr<nats_session>> open(const nats_server& server,
                                                    const nats_login& login,
                                                    const std::string& client_name,
                                                    const buckets& wanted, std::uint32_t replicas);
  ~nats_session();

  enum class heard : std::uint8_t {
    nothing, ///< within the time
    change,
    all_told, ///< what the buckets held was told; once
    lost,     ///< see why_lost()
  };
  heard next(nats_change& change, std::chrono::milliseconds timeout);
  /// To be called by the thread that calls next().
  const std::string& why_lost() const { return why_lost_; }

  /// Stores the value; with `last_revision` only if that is the key's last one, 0: if it has none.
  /// False: it is not. Errors: unavailable; it may have been stored.
  result<bool> put(std::size_t bucket, const std::string& key, std::string_view value,
                   std::optional<std::uint64_t> last_revision = std::nullopt);
  /// The key's last revision, of a deletion too; 0: it never had one. It is read from the bucket's
  /// leader, so that none is missed that was stored before.
  result<std::uint64_t> last_revision(std::size_t bucket, const std::string& key);
  /// Deletes the key with its history; with `last_revision` only if that is the key's last one.
  /// False: it is not.
  result<bool> remove(std::size_t bucket, const std::string& key,
                      std::optional<std::uint64_t> last_revision = std::nullopt);

  /// Ends the connection, and with it all calls under way.
  void hang_up() { natsConnection_Close(connection_.get()); }

 private:
  struct watch {
    std::string stream; ///< its name
    std::string prefix; ///< of its subjects
    nats_ptr<natsSubscription> subscription;
    std::uint64_t untold = 0;
    std::uint64_t received = 0; ///< the consumer's last sequence number
    std::chrono::steady_clock::time_point heard_at{};
  };

  nats_session() = default;
  result<void> find_or_make(const nats_bucket& bucket, std::uint32_t replicas);
  result<void> start_watch(std::size_t index, const nats_bucket& bucket);
  result<void> add_consumer(std::size_t index, const nats_bucket& bucket,
                            const std::string& subject);
  result<bool> publish(natsMsg* message, jsPubOptions& options);
  heard lose(std::string why);
  heard take_status(watch& from, natsMsg* message);
  heard take_change(std::size_t index, nats_change& change);
  bool all_told() const;

  nats_ptr<natsConnection> connection_;
  nats_ptr<jsCtx> context_;
  std::shared_ptr<nats_inbox> inbox_ = std::make_shared<nats_inbox>();
  std::array<watch, bucket_count> watches_;
  nats_ptr<natsMsg> message_; ///< the one that was told last
  bool told_ = false;
  std::string why_lost_;
  std::atomic<bool> bucket_lost_{false};
};

} // namespace penstock
