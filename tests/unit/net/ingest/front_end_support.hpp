// A front end on a stepped loop, with limiters, peers and journal played by the test.
#pragma once

#include "actors/base/shards.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/clients/identity_settings.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/http_settings.hpp"
#include "net/ingest/front_end.hpp"
#include "storage/events/event_id.hpp"
#include "tests/unit/actors/stand_in.hpp"
#include "tests/unit/net/support.hpp"

#include <boost/json.hpp>

#include <sys/un.h>

#include <algorithm>

namespace penstock {

struct front_end_options {
  http_settings http;
  plan rules{"anonymous", {{.name = "l", .amount = 10, .window_ns = 60'000 * ms}}};
  std::vector<plan> more_plans{};
  access_table_ptr keys = std::make_shared<const access_table>();
  plan_overrides overrides{};
  usage_handle usage{}; ///< told what was used
  std::map<std::string, stream_settings, std::less<>> streams{{"default", {}}};
  std::vector<std::uint16_t> shard_owner = std::vector<std::uint16_t>(shard_count, 0);
  std::chrono::milliseconds drain_timeout_ms{30'000};
  std::size_t max_publish_waits = 100;
  std::shared_ptr<stream_names> names = std::make_shared<stream_names>(); ///< of all lanes
  unknown_streams others = unknown_streams::accept;
  bool opens = true;      ///< serves at once
  bool with_keys = false; ///< index_0 and index_1 are asked about idempotency keys
};

/// Connections come over a local socket, where sending and arriving are one. Limiters, peers and
/// the journal are mailboxes that the test looks into.
class front_end_fixture : public stepped_loop {
 public:
  node_state node;
  front_end_metrics metrics;
  caf::scoped_actor journal{system}, limiter_0{system}, limiter_1{system}, peer_0{system},
      peer_1{system}, index_0{system}, index_1{system}, bus{system}, log{system};
  caf::actor front_end;
  std::shared_ptr<const identifier> identify;
  std::shared_ptr<stream_names> names; ///< once it is started

  front_end_fixture() {
    node.tag = "abcdefgh";
    node.ready = true;
    identity_settings who;
    who.order = {{identity_source::x_api_key, ""},
                 {identity_source::header, "x-client"},
                 {identity_source::ip, ""}};
    identify = std::make_shared<const identifier>(who, std::vector<std::string>{}, "secret");
  }
  ~front_end_fixture() {
    caf::anon_send_exit(front_end, caf::exit_reason::user_shutdown);
    turn();
  }

  void start(front_end_options options = {}) {
    auto fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address_.sun_family = AF_UNIX; // with no path the kernel chooses a name
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address_), sizeof address_.sun_family) == 0);
    address_size_ = sizeof address_;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address_), &address_size_);
    REQUIRE(::listen(fd, 128) == 0);
    front_end_parts parts{loop,
                          options.http,
                          identify,
                          rules_of(options),
                          options.keys,
                          plans_of(options),
                          node,
                          metrics,
                          handle(journal),
                          {handle(limiter_0), handle(limiter_1)},
                          placement_of(options.shard_owner),
                          0,
                          std::chrono::milliseconds{500}};
    parts.hash_keys = std::make_shared<const idempotency_hasher>("secret");
    parts.usage = options.usage;
    parts.wall_ms = [this] { return wall_ms(); };
    parts.publishers = {{"bus", handle(bus)}, {"log", handle(log)}};
    parts.drain_timeout_ms = options.drain_timeout_ms;
    parts.max_publish_waits = options.max_publish_waits;
    if (const auto most = options.http.max_connections_per_address; most > 0)
      parts.per_address = std::make_shared<address_counts>(most);
    parts.names = names = options.names;
    if (options.with_keys) parts.idempotency = {handle(index_0), handle(index_1)};
    front_end = plain_actor(spawn_front_end(system, std::move(parts), fd));
    if (options.opens) caf::anon_send(front_end, caf::open_atom_v);
    turn();
  }
  /// In the summer of 2026, and as much later as time has passed.
  std::int64_t wall_ms() const { return 1'785'000'000'000 + now_ns / ms; }
  static ingest_rules_ptr rules_of(const front_end_options& options) {
    return std::make_shared<const ingest_rules>(
        ingest_rules{options.streams, options.overrides, options.others});
  }
  static placement_ptr placement_of(const std::vector<std::uint16_t>& owners) {
    placement places;
    for (std::uint32_t shard = 0; shard < shard_count; ++shard)
      places.shards[shard].owner = owners[shard];
    return std::make_shared<const placement>(places);
  }
  static plan_set_ptr plans_of(const front_end_options& options) {
    std::vector<plan> all{options.rules};
    all.insert(all.end(), options.more_plans.begin(), options.more_plans.end());
    return std::make_shared<const plan_set>(all, std::vector<plan_record>{});
  }
  static stand_in handle(caf::scoped_actor& self) { return stand_in(self); }

  test_client connect() {
    auto fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address_), address_size_) == 0);
    turn();
    return test_client{fd};
  }

  // -- what a client is ---------------------------------------------------------------------------

  static std::uint64_t client_of(const std::string& name) {
    return client_hasher{"secret"}(identity_source::header, "x-client", name);
  }
  /// A name whose shard belongs to limiter `i` of two.
  static std::string client_for(std::size_t i) {
    std::string name = "c";
    while (shard_of(client_of(name)) % 2 != i)
      name += 'c';
    return name;
  }
  /// An event of that client; `fields` are whole lines.
  static std::string event(const std::string& client, std::string_view body,
                           std::string_view target = "/v1/events", std::string_view fields = "") {
    return post(target, body, "X-Client: " + client + "\r\n" + std::string{fields});
  }
  static std::string ndjson(const std::string& client, std::string_view body,
                            std::string_view fields = "") {
    return event(client, body, "/v1/events",
                 "Content-Type: application/x-ndjson\r\n" + std::string{fields});
  }
  void send(test_client& from, std::string_view text) {
    std::size_t at = 0;
    for (int round = 0; at < text.size() && round < 1'000; ++round) {
      at += from.send(text.substr(at));
      turn();
    }
    REQUIRE(at == text.size());
  }

  // -- the limiters' part -------------------------------------------------------------------------

  static std::optional<admit_request> asked(caf::scoped_actor& limiter) {
    admit_request out;
    if (!take(limiter, out)) return std::nullopt;
    return out;
  }
  static verdict granted(std::uint32_t units) {
    return {.granted = units, .remaining = 7, .reset_s = 30, .limit = 0};
  }
  static verdict refused() {
    return {.remaining = 0,
            .reset_s = 9,
            .limit = 0,
            .reason = static_cast<std::uint8_t>(refusal::quota)};
  }
  void reply(const std::optional<admit_request>& to, std::vector<verdict> verdicts) {
    REQUIRE(to);
    caf::anon_send(front_end, admit_reply{to->token, std::move(verdicts)});
    turn();
  }
  void grant(const std::optional<admit_request>& to) {
    REQUIRE(to);
    std::vector<verdict> verdicts;
    for (auto& item : to->items)
      verdicts.push_back(granted(item.events));
    reply(to, std::move(verdicts));
  }
  static std::vector<std::uint32_t> costs(const std::optional<admit_request>& of) {
    std::vector<std::uint32_t> out;
    if (of)
      for (auto& item : of->items)
        out.push_back(item.events);
    return out;
  }
  bool nobody_asked() {
    return !asked(limiter_0) && !asked(limiter_1) && !asked(peer_0) && !asked(peer_1);
  }

  // -- the journal's part -------------------------------------------------------------------------

  /// The next batch in the journal's mailbox, or null.
  append_batch_ptr appended() {
    append_batch_ptr out;
    take(journal, out);
    return out;
  }
  /// Lets go of the batch, as the journal does.
  void durable(append_batch_ptr batch) { finish(std::move(batch), {}); }
  void finish(append_batch_ptr batch, std::optional<error> why) {
    REQUIRE(batch);
    append_done done{{batch->token}, !why, why.value_or(error{})};
    batch.reset();
    tell(std::move(done));
  }
  static std::vector<std::string> bodies(const event_block& block) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < block.size(); ++i)
      out.emplace_back(block.body(i));
    return out;
  }
  std::string id(std::uint64_t seq) const { return event_id(seq, node.tag); }

  std::uint64_t shed(shed_reason why) {
    return metrics.shed[static_cast<std::size_t>(why)].value();
  }
  std::uint64_t barred(bar_reason why) {
    return metrics.barred[static_cast<std::size_t>(why)].value();
  }
  template <class T>
  void tell(T update) {
    caf::anon_send(front_end, std::move(update));
    turn();
  }

 private:
  sockaddr_un address_{};
  socklen_t address_size_ = 0;
};

/// The next answer, which must have come with this status.
inline http_answer expect(test_client& client, unsigned status) {
  auto got = client.answer();
  INFO(client.received);
  REQUIRE(got);
  INFO(got->body);
  CHECK(got->status == status);
  return *got;
}

inline boost::json::value json_of(const http_answer& answer) {
  INFO(answer.body);
  boost::system::error_code failed;
  auto out = boost::json::parse(answer.body, failed);
  REQUIRE_FALSE(failed);
  return out;
}

inline std::string id_in(const http_answer& answer) {
  return std::string{json_of(answer).at("id").as_string()};
}

} // namespace penstock
