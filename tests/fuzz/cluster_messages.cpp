// What comes at the cluster port: whatever the guard of a link lets pass can be read by CAF, takes
// no more memory than it has bytes, and is the same when it is sent on. Large allocations are
// findings: this is run with a bound on each (see scripts/fuzz).
#include "actors/cluster/membership_messages.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/replication/replica_backlog.hpp"
#include "actors/system_config.hpp"
#include "net/links/link_guard.hpp"
#include "tests/fuzz/target.hpp"

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/io/basp/header.hpp>

#include <set>
#include <string>
#include <vector>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

namespace basp = caf::io::basp;

constexpr std::size_t max_message_bytes = 1 << 20;

caf::actor_system& fuzz_system() {
  struct quiet_config : system_config {
    quiet_config() : system_config{1} { set("scheduler.policy", caf::atom("testing")); }
  };
  static auto* config = new quiet_config;
  static auto* system = new caf::actor_system{*config};
  return *system;
}

template <class... Ts>
bool read_all(std::string_view bytes, Ts&... into) {
  caf::binary_deserializer source{fuzz_system(), bytes.data(), bytes.size()};
  return !source(into...);
}

template <class T>
std::vector<char> written(T& value) {
  std::vector<char> bytes;
  caf::binary_serializer sink{fuzz_system(), bytes};
  expect(!sink(value), "what was read can be written");
  return bytes;
}

// What a holder does with a row that came.
void use_row(const wire_block& row) {
  expect(row.block != nullptr, "a row that was read is there");
  const auto& block = *row.block;
  if (!is_consistent(block)) return;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    bytes += block.body(i).size();
    expect(block.events[i].type < block.content_types.size(), "an event has a type");
    expect(block.events[i].attributes < block.attributes.size(), "and attributes");
  }
  expect(bytes == block.bodies.size(), "events share out the bodies");
}

// And with news.
void use_news(const replica_news& update) {
  const auto backlog = told_backlog::make(update);
  if (!backlog) return;
  using enum backlog_events::portion;
  for (const auto& one : update.delivered) {
    expect(!backlog->is_in_backlog(one.stream, one.floor, 0), "what is delivered is not owed");
    expect(backlog->between(one.stream, 0, one.floor) == none, "nor all up to there");
    for (const auto& [first, last] : one.beyond) {
      expect(!backlog->is_in_backlog(one.stream, first, 0), "nor what was delivered ahead");
      expect(backlog->between(one.stream, first, last) == none, "all of it");
    }
  }
}

// A message sent on is the same.
template <class T>
void check_round_trip(T& value) {
  const auto first = written(value);
  T again{};
  expect(read_all({first.data(), first.size()}, again), "what was written can be read");
  expect(written(again) == first, "and is the same");
}

template <class T>
void read_message(std::string_view bytes) {
  T value{};
  if (!read_all(bytes, value)) return;
  check_round_trip(value);
  if constexpr (std::is_same_v<T, replica_batch>)
    for (const auto& row : value.rows)
      use_row(row);
  if constexpr (std::is_same_v<T, replica_news>) use_news(value);
}

using message_reader = void (*)(std::string_view);
constexpr message_reader message_readers[] = {
    read_message<hello>,           read_message<welcome>,         read_message<owner_request>,
    read_message<owner_reply>,     read_message<leases_returned>, read_message<returns_taken>,
    read_message<shard_rows>,      read_message<shard_taken>,     read_message<backup_rows>,
    read_message<backup_taken>,    read_message<away_question>,   read_message<away_answer>,
    read_message<forward_request>, read_message<forward_reply>,   read_message<key_rows>,
    read_message<keys_taken>,      read_message<replica_batch>,   read_message<replica_held>,
    read_message<replica_news>,    read_message<limits_query>,    read_message<limits_reply>,
    read_message<accounts_digest>, read_message<accounts_records>};

// A row as a peer sends it, of which the input changes up to four bytes: each place and a value for
// it. A fuzzer that must first make a whole row by itself has little time left for these.
void read_changed_row(std::string_view changes) {
  static const auto whole = [] {
    auto block = std::make_shared<event_block>();
    block->stream = "s";
    block->first_seq = 7;
    block->push("ab", "text/plain", 3, "");
    block->push("c", "application/json", 4, "");
    replica_batch batch;
    batch.rows.push_back({block});
    return written(batch);
  }();
  auto bytes = whole;
  for (; changes.size() >= 2; changes.remove_prefix(2))
    bytes[static_cast<unsigned char>(changes[0]) % bytes.size()] = changes[1];
  read_message<replica_batch>({bytes.data(), bytes.size()});
}

// As basp::instance of CAF 0.17 reads a payload.
void read_payload(basp::message_type operation, std::string_view payload) {
  caf::node_id source, other;
  using enum basp::message_type;
  switch (operation) {
  case client_handshake:
    read_all(payload, source);
    break;
  case server_handshake: {
    std::vector<std::string> applications;
    caf::actor_id actor = 0;
    std::set<std::string> interface;
    read_all(payload, source, applications, actor, interface);
    break;
  }
  case monitor_message:
    read_all(payload, source, other);
    break;
  case down_message: {
    caf::error why;
    read_all(payload, source, other, why);
    break;
  }
  case routed_message:
  case direct_message: {
    std::vector<caf::strong_actor_ptr> passed_on_for;
    caf::message message;
    if (!(operation == routed_message ? read_all(payload, source, other, passed_on_for, message)
                                      : read_all(payload, passed_on_for, message)))
      break;
    expect(passed_on_for.empty(), "nobody passes on what a peer says");
    check_round_trip(message);
    break;
  }
  default:
    expect(false, "nothing else has a payload");
  }
}

void read_connection(std::string_view bytes) {
  link_guard guard{max_message_bytes};
  bool greeted = false;
  while (bytes.size() >= basp::header_size) {
    basp::header header;
    const auto head = bytes.substr(0, basp::header_size);
    bytes.remove_prefix(head.size());
    expect(read_all(head, header), "a header can be read");
    if (!guard.admits(head)) return;
    expect(header.payload_len <= max_message_bytes, "a message is bounded");
    expect(greeted || basp::is_handshake(header), "a handshake comes first");
    expect(!basp::is_handshake(header) || header.payload_len > 0, "and says something");
    greeted = true;
    // CAF itself refuses some that the guard need not know.
    if (!basp::valid(header) || bytes.size() < header.payload_len) return;
    if (header.payload_len == 0) continue;
    const auto payload = bytes.substr(0, header.payload_len);
    bytes.remove_prefix(payload.size());
    if (!guard.admits(payload)) return;
    read_payload(header.operation, payload);
  }
}

} // namespace

// The first byte says which message it is; 'c': what comes over a connection; 'r': what a row has
// been changed to.
PENSTOCK_FUZZ_TARGET(cluster_messages)(std::string_view input) {
  if (input.empty()) return;
  const auto which = static_cast<unsigned char>(input[0]);
  if (which == 'c') read_connection(input.substr(1));
  if (which == 'r') read_changed_row(input.substr(1, 8));
  if (which < std::size(message_readers)) message_readers[which](input.substr(1));
}
