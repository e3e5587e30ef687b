#include "net/directory/nats_directory.hpp"

#include "net/directory/directory_json.hpp"
#include "net/directory/directory_names.hpp"
#include "net/directory/nats_session.hpp"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

namespace penstock {

namespace {

using std::chrono::milliseconds;
using session_ptr = std::shared_ptr<nats_session>;

constexpr std::size_t members_bucket = 0, records_bucket = 1;
constexpr std::string_view member_prefix = "member.";
constexpr const char* view_key = "view";
constexpr std::int64_t members_max_bytes = std::int64_t{64} << 20;
constexpr std::int64_t records_max_bytes = std::int64_t{1} << 30;
/// So many values a key keeps, for people to look back; each watch gets all that it can follow.
constexpr std::uint8_t members_history = 16;
constexpr milliseconds directory_slice_ms{
    100}; ///< how often the thread looks whether it should end
constexpr milliseconds reconnect_pause_ms{250};
constexpr std::size_t max_complaints = 64; ///< keys with malformed values that are named in the log

class nats_directory final : public directory {
 public:
  nats_directory(std::vector<nats_server> servers, const nats_settings& settings,
                 const std::string& cluster, std::string client_name)
      : servers_{std::move(servers)}, login_{settings.login}, replicas_{settings.replicas},
        client_name_{std::move(client_name)},
        buckets_{nats_bucket{.name = directory_bucket(cluster, "members"),
                             .description = "Penstock: members of the cluster, and their view",
                             .max_bytes = members_max_bytes,
                             .max_value_bytes = max_view_json_bytes,
                             .history = members_history},
                 nats_bucket{.name = directory_bucket(cluster, "accounts"),
                             .description = "Penstock: API keys (hashed) and plans",
                             .max_bytes = records_max_bytes,
                             .max_value_bytes = max_directory_value_bytes}} {}
  ~nats_directory() override;

  result<void> open(listener to) override;
  result<std::uint64_t> renew(const member_record& self) override;
  result<void> leave(const std::string& address) override;
  result<bool> forget(const std::string& address, std::uint64_t revision) override;
  result<bool> propose(const cluster_view& next, std::uint64_t last_revision) override;
  result<void> put_record(const std::string& key, const std::string& value) override;

 private:
  /// Of the view that this session told last.
  struct stored_view {
    bool usable = false; ///< false: none, deleted, or malformed
    std::uint64_t revision = 0;
  };

  result<session_ptr> connect();
  result<session_ptr> session() const;
  void set_session(session_ptr session, std::string why_none);
  result<void> put(std::size_t bucket, const std::string& key, const std::string& value);
  result<void> remove(std::size_t bucket, const std::string& key);

  void serve(session_ptr session);
  std::string watch(nats_session& session);
  session_ptr connect_again();
  bool pause(milliseconds time);
  void tell(const nats_change& change);
  void tell_member(const nats_change& change);
  void tell_view(const nats_change& change);
  void tell_record(const nats_change& change);
  void complain(const nats_change& change);

  const std::vector<nats_server> servers_;
  const nats_login login_;
  const std::uint32_t replicas_;
  const std::string client_name_;
  const nats_session::buckets buckets_;
  listener to_;

  mutable std::mutex mutex_; ///< over the next five
  std::condition_variable stopping_;
  bool stopped_ = false;
  session_ptr session_;
  std::string why_none_ = "not connected yet";
  std::optional<stored_view> stored_view_; ///< nothing until all was told

  // Of the thread that connects and tells; open() has them until it runs.
  std::size_t server_ = 0;
  stored_view told_view_;
  std::set<std::string, std::less<>> complaints_;
  std::thread thread_;
};

nats_directory::~nats_directory() {
  {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  stopping_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// -- calls ----------------------------------------------------------------------------------------

result<void> nats_directory::open(listener to) {
  if (thread_.joinable()) return {};
  auto connected = connect();
  if (!connected) return connected.error();
  to_ = std::move(to);
  set_session(*connected, {});
  thread_ =
      std::thread{[this, first = std::move(*connected)]() mutable { serve(std::move(first)); }};
  return {};
}

/// Tries each server once, from where the last connection was.
result<session_ptr> nats_directory::connect() {
  std::string faults;
  for (std::size_t tries = 0; tries < servers_.size(); ++tries) {
    const auto& server = servers_[server_];
    auto opened = nats_session::open(server, login_, client_name_, buckets_, replicas_);
    if (opened) return session_ptr{std::move(*opened)};
    faults += (faults.empty() ? "" : "; ") + server.shown + ": " + opened.error().message;
    server_ = (server_ + 1) % servers_.size();
    const std::lock_guard lock{mutex_};
    if (stopped_) break;
  }
  return error{errc::unavailable, std::move(faults)};
}

result<session_ptr> nats_directory::session() const {
  const std::lock_guard lock{mutex_};
  if (!session_) return error{errc::unavailable, why_none_};
  return session_;
}

void nats_directory::set_session(session_ptr session, std::string why_none) {
  const std::lock_guard lock{mutex_};
  std::swap(session_, session);
  why_none_ = std::move(why_none);
  stored_view_.reset();
}

result<void> nats_directory::put(std::size_t bucket, const std::string& key,
                                 const std::string& value) {
  const auto to = session();
  if (!to) return to.error();
  const auto done = (*to)->put(bucket, key, value);
  return done ? result<void>{} : result<void>{done.error()};
}

result<std::uint64_t> nats_directory::renew(const member_record& self) {
  const auto to = session();
  if (!to) return to.error();
  const auto key = std::string{member_prefix} + encode_directory_key(self.address);
  const auto done = (*to)->put(members_bucket, key, member_json(self));
  if (!done) return done.error();
  return (*to)->last_revision(members_bucket, view_key);
}

result<void> nats_directory::remove(std::size_t bucket, const std::string& key) {
  const auto to = session();
  if (!to) return to.error();
  const auto done = (*to)->remove(bucket, key);
  return done ? result<void>{} : result<void>{done.error()};
}

result<void> nats_directory::leave(const std::string& address) {
  return remove(members_bucket, std::string{member_prefix} + encode_directory_key(address));
}

result<bool> nats_directory::forget(const std::string& address, std::uint64_t revision) {
  const auto to = session();
  if (!to) return to.error();
  return (*to)->remove(members_bucket, std::string{member_prefix} + encode_directory_key(address),
                       revision);
}

// A view that was deleted, that a server lost with all its data, or that cannot be read, must not
// keep the cluster from agreeing on the next: then that state of things is what must not have
// changed.
result<bool> nats_directory::propose(const cluster_view& next, std::uint64_t last_revision) {
  const auto to = session();
  if (!to) return to.error();
  {
    const std::lock_guard lock{mutex_};
    if (stored_view_ && !stored_view_->usable) last_revision = stored_view_->revision;
  }
  return (*to)->put(members_bucket, view_key, view_json(next), last_revision);
}

result<void> nats_directory::put_record(const std::string& key, const std::string& value) {
  const auto encoded = encode_directory_key(key);
  if (encoded.empty() || value.size() > max_directory_value_bytes)
    return error{errc::invalid, "the directory takes no record of this size"};
  return value.empty() ? remove(records_bucket, encoded) : put(records_bucket, encoded, value);
}

// -- the thread that tells ------------------------------------------------------------------------

void nats_directory::serve(session_ptr session) {
  while (session) {
    const auto why = watch(*session);
    if (why.empty()) return; // stopped
    spdlog::warn("directory: {}: {}; going on with what is known", servers_[server_].shown, why);
    set_session(nullptr, why);
    session->hang_up();
    session.reset();
    if (to_.away) to_.away();
    session = connect_again();
    if (!session) return;
    set_session(session, {});
  }
}

/// Until the session is lost; tells why. Empty: until we stop.
std::string nats_directory::watch(nats_session& session) {
  told_view_ = {};
  nats_change change;
  for (;;) {
    switch (session.next(change, directory_slice_ms)) {
    case nats_session::heard::lost:
      return session.why_lost();
    case nats_session::heard::change:
      tell(change);
      break;
    case nats_session::heard::all_told: {
      spdlog::info("directory: watching {}", servers_[server_].shown);
      {
        const std::lock_guard lock{mutex_};
        stored_view_ = told_view_;
      }
      if (to_.watching) to_.watching();
      break;
    }
    case nats_session::heard::nothing:
      break;
    }
    const std::lock_guard lock{mutex_};
    if (stopped_) return {};
  }
}

/// Null when we stop.
session_ptr nats_directory::connect_again() {
  std::string said;
  while (pause(reconnect_pause_ms)) {
    auto connected = connect();
    if (connected) return std::move(*connected);
    if (connected.error().message == said) continue;
    said = connected.error().message;
    spdlog::warn("directory: {}; trying on", said);
    set_session(nullptr, said);
  }
  return nullptr;
}

/// False when we stop.
bool nats_directory::pause(milliseconds time) {
  std::unique_lock lock{mutex_};
  return !stopping_.wait_for(lock, time, [this] { return stopped_; });
}

void nats_directory::tell(const nats_change& change) {
  if (change.bucket == records_bucket) return tell_record(change);
  if (change.key == view_key) return tell_view(change);
  if (change.key.starts_with(member_prefix)) return tell_member(change);
  complain(change);
}

void nats_directory::tell_member(const nats_change& change) {
  const auto address = decode_directory_key(change.key.substr(member_prefix.size()));
  if (!address) return complain(change);
  if (change.gone) {
    if (to_.member_gone) to_.member_gone(*address);
    return;
  }
  auto member = read_member(change.value);
  if (!member || member->address != *address) return complain(change);
  if (to_.member) to_.member(std::move(*member), change.revision);
}

void nats_directory::tell_view(const nats_change& change) {
  auto view = change.gone ? std::nullopt : read_view(change.value);
  told_view_ = {.usable = view.has_value(), .revision = change.revision};
  {
    const std::lock_guard lock{mutex_};
    if (stored_view_) stored_view_ = told_view_;
  }
  if (!view) return complain(change);
  if (to_.view) to_.view(std::move(*view), change.revision);
}

void nats_directory::tell_record(const nats_change& change) {
  auto key = decode_directory_key(change.key);
  if (!key || change.value.size() > max_directory_value_bytes) return complain(change);
  if (to_.record) to_.record(std::move(*key), change.gone ? "" : std::string{change.value});
}

/// Once a key, and of so many keys only: some are renewed several times a second.
void nats_directory::complain(const nats_change& change) {
  if (complaints_.size() >= max_complaints || complaints_.contains(change.key)) return;
  complaints_.emplace(change.key);
  spdlog::warn("directory: the value of {:?} in {} is not one of ours, or was deleted; passed over",
               change.key, buckets_[change.bucket].name);
}

} // namespace

nats_login_fault fault_of(const nats_settings& settings) {
  if (const auto servers = parse_nats_servers(settings.url); !servers)
    return {"nats_url", servers.error().message};
  auto fault = fault_of(settings.login);
  if (!fault.setting.empty()) fault.setting.insert(0, "nats_");
  return fault;
}

result<std::unique_ptr<directory>> make_nats_directory(const nats_settings& settings,
                                                       const std::string& cluster,
                                                       const std::string& client_name) {
  if (const auto fault = fault_of(settings); !fault.setting.empty())
    return error{errc::config, "cluster." + fault.setting + ": " + fault.why};
  return std::unique_ptr<directory>{std::make_unique<nats_directory>(
      *parse_nats_servers(settings.url), settings, cluster, client_name)};
}

} // namespace penstock
