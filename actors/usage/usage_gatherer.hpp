// Reports of usage over all nodes of a cluster: asks each of them for its part.
#pragma once

#include "actors/cluster/link_messages.hpp"
#include "actors/usage/usage_gathering.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// A node that does not say for so long whose counts it has is not waited for.
inline constexpr std::chrono::seconds usage_sources_timeout{5};
/// When a node goes while it is asked, the report begins again without it; not more often.
inline constexpr int max_usage_rounds = 4;
/// Reports that wait while one is made; the admin plane asks for no more at once.
inline constexpr std::size_t max_waiting_usage_reports = 16;

struct usage_gatherer_parts {
  usage_handle writer;        ///< of this node
  usage_reader_handle reader; ///< of this node
  std::string address;        ///< its cluster.listen
  /// Of a cluster with a fixed list: cluster addresses, this node's among them. In one with a
  /// directory placements tell.
  std::vector<std::string> members{};
};

using usage_gatherer_self = usage_gatherer_handle;

class usage_gatherer_state {
 public:
  static constexpr const char* name = "usage_gatherer"; // CAF shows it
  using self_ptr = usage_gatherer_self::stateful_pointer<usage_gatherer_state>;

  explicit usage_gatherer_state(self_ptr self) : self_(self) {}

  void start(usage_gatherer_parts parts);
  void peer_came(const peer_up& peer);
  void peer_went(const peer_down& gone) { peers_.erase(gone.member); }
  void placed(const placement_changed& change) { parts_.members = change.to->members; }
  caf::result<usage_answer_ptr> report(const usage_query_ptr& query);

 private:
  struct peer {
    usage_handle writer;
    usage_reader_handle reader;
  };
  /// The one that is being made.
  struct work {
    usage_query_ptr query;
    caf::response_promise promise;
    std::optional<usage_gathering> gathering{};
    std::map<std::uint16_t, peer> asked{}; ///< of this round
    std::size_t awaited = 0;               ///< answers
    int round = 0;
    std::uint64_t number = 0; ///< of the round; answers to an earlier one count for nothing
    bool failed = false;      ///< a node did not answer for its part
  };

  void begin_next();
  void begin_round();
  void have_sources(std::uint64_t number);
  void ask_part();
  void have_part(std::uint64_t number, std::uint16_t from, const usage_part& part);
  void lost(std::uint64_t number, std::uint16_t from);
  void part_is_over();
  void end(usage_answer answer);

  self_ptr self_;
  usage_gatherer_parts parts_;
  std::map<std::uint16_t, peer> peers_; // and this node, as no_member
  std::deque<std::pair<usage_query_ptr, caf::response_promise>> waiting_;
  std::optional<work> work_;
  std::uint64_t rounds_ = 0;
};

/// Answers usage_query_ptr with usage_answer_ptr, which has its coverage; one after the other.
/// Blocks on nothing. Quits at `drain`.
usage_gatherer_self::behavior_type
usage_gatherer(usage_gatherer_self::stateful_pointer<usage_gatherer_state> self,
               usage_gatherer_parts parts);

} // namespace penstock
