// Holders of events on virtual time, over real stores.
#pragma once

#include "actors/base/lifecycle_messages.hpp"
#include "actors/replication/replica_actor.hpp"
#include "storage/journal/segment.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"
#include "tests/unit/storage/support.hpp"

#include <memory>
#include <string>
#include <vector>

namespace penstock::test {

inline const std::string origin_tag = "aaaaaaaa";

/// The row that begins with that number can't be read any more.
inline void damage_row(const segment_catalog& in, std::uint64_t seq) {
  const auto segment = in.find(seq);
  REQUIRE(segment);
  auto db = open_segment(segment->path, sqlite_mode::read_write, {});
  require_ok(db);
  const auto sql = "UPDATE block SET ends = 'x' WHERE seq = " + std::to_string(seq);
  require_ok(db->exec(sql.c_str()));
}

/// A node that holds events, in a directory of its own.
struct holder {
  holder(caf::actor_system& system, std::chrono::milliseconds adopt_after = {},
         const caf::actor& adopter = {}, std::uint64_t max_bytes = 64u << 20,
         const std::string& own_tag = "hhhhhhhh") {
    replica_options options;
    options.dir = dir.path();
    options.preallocate = false;
    options.max_bytes = max_bytes;
    options.segment_max_bytes = max_bytes / 8;
    auto opened = replica_store::open(options);
    if (!opened) FAIL(opened.error().message);
    store = std::move(*opened);
    actor = plain_actor(system.spawn(
        replica_actor, replica_parts{store, adopt_after, stand_in(adopter), metrics, own_tag}));
  }
  ~holder() { caf::anon_send(actor, drain{}); }

  /// The sequence numbers that are durable here.
  std::vector<std::uint64_t> held(const std::string& tag = origin_tag,
                                  const std::string& stream = "default") const {
    const auto catalog = store->catalog(tag);
    if (!catalog) return {};
    auto read = journal_reader::make(catalog)->read(stream, 0, no_limit_bytes);
    if (!read) FAIL(read.error().message);
    return numbers(*read);
  }

  /// Up to where some of it may be missing.
  std::uint64_t partial_seq(const std::string& tag = origin_tag) const {
    for (const auto& one : store->list())
      if (one.tag == tag) return one.partial_seq;
    return 0;
  }

  temporary_dir dir;
  std::shared_ptr<replica_store> store;
  std::shared_ptr<replica_metrics> metrics = std::make_shared<replica_metrics>();
  caf::actor actor;
};

} // namespace penstock::test
