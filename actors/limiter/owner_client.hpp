// For front ends of this node: what is here, what is leased, and what an owner must be asked.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/limiter/lease_cache.hpp"
#include "actors/limiter/lease_returns.hpp"
#include "actors/limiter/limiter_context.hpp"
#include "actors/limiter/owner_backup.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limiter/shard_table.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace penstock {

/// Who was asked and is not (yet, or any more) the owner is asked again this soon, or the next one.
inline constexpr std::chrono::milliseconds query_retry_interval{5};
/// A request waits for so many leases that others ask for, and then asks for itself.
inline constexpr std::uint8_t max_leases_awaited = 4;
/// A member that was not in reach since the view came, or this process began, may take so long to
/// link; until then requests wait for it. One that was lost is not waited for.
inline constexpr std::int64_t link_grace_ns = 2'000'000'000;

/// An item that is not decided here at once is in one query: it waits for an owner's answer, to be
/// asked again, or for a lease. Each ends within the verdict timeout. Not synchronised.
class owner_client {
 public:
  owner_client(const limiter_context& context, const shard_table& table, owner_backup& backup,
               lease_returns& returns)
      : context_(context), table_(table), backup_(backup), returns_(returns) {}

  /// All verdicts that take no asking; the rest is pending and follows.
  admit_reply admit(const admit_request& request, const front_end_handle& front_end);
  void on_reply(const owner_reply& reply, const limiter_handle& from);

  // -- what waits ---------------------------------------------------------------------------------

  /// Whoever waits to ask again does. The timer's own call says so.
  void retry_queries();
  void on_retry_timer() {
    will_retry_ = false;
    retry_queries();
  }
  /// The backup confirmed something: whoever waited for that may go on.
  void retry_after_backup();
  /// Decides without the owner what waited for longer than verdicts may take.
  void end_late_queries();
  /// An answer came, or a while has passed: what waits for a lease may have it.
  void serve_awaiting();
  /// The member answers no more: its queries go elsewhere.
  void lose(std::uint16_t member);

  // -- leases held --------------------------------------------------------------------------------

  void return_unneeded(std::int64_t steady_ns) { returns_.give_back(cache_.collect(steady_ns)); }
  void return_all() { returns_.give_back(cache_.collect_all()); }
  /// Others have gone on without this node: what it has counts no more.
  void forget_leases() { (void)cache_.collect_all(); }
  std::uint64_t leased_units() const { return cache_.units(); }

  /// Items that wait for a shard to arrive, an owner to be found, or a backup.
  std::int64_t waiting_items() const;

 private:
  struct open_item {
    std::uint32_t position = 0; // in the front end's request
    admit_item item;
    std::vector<std::uint32_t> sizes{};
    std::uint32_t requested_units = 0;
    lease_key key{};           // of the lease that they are asked for: plans may change meanwhile
    bool awaits_lease = false; // that is being asked for
    std::uint8_t leases_awaited = 0;
  };
  struct owner_query {
    front_end_handle front_end;
    std::uint64_t token = 0; // the front end's
    std::uint16_t owner = 0;
    bool waits = false; // to be asked again; else an answer is under way
    std::int64_t since_ns = 0;
    std::int64_t sent_ns = 0;
    std::vector<open_item> items;
  };
  struct placed_verdict {
    std::uint32_t position;
    verdict answer;
  };

  std::vector<placed_verdict> route(const front_end_handle& front_end, std::uint64_t token,
                                    std::int64_t since_ns, std::vector<open_item> items);
  void reroute(std::vector<owner_query> queries);
  bool may_come_back(std::uint16_t owner, std::int64_t steady_ns) const;
  std::optional<verdict> without_asking(open_item& item, std::int64_t steady_ns);
  void send(owner_query query, const limiter_handle& owner);
  void wait(owner_query query);
  void answer(const front_end_handle& front_end, std::uint64_t token,
              const std::vector<placed_verdict>& verdicts);
  void take_answer(const owner_query& query, const owner_reply& reply);
  verdict decide_here(const open_item& item);
  verdict fall_back(const open_item& item);
  void note_lost(const owner_query& query, std::uint64_t token);
  lease_key key_of(const admit_item& item);

  const limiter_context& context_;
  const shard_table& table_;
  owner_backup& backup_;
  lease_returns& returns_;
  lease_cache cache_{max_cached_clients};
  // Bounded by what front ends have in flight, as awaiting_lease_ is.
  boost::unordered_flat_map<std::uint64_t, owner_query> pending_queries_;
  std::vector<owner_query> awaiting_lease_; // of clients whose lease is being asked for
  std::uint64_t next_token_ = 1;
  bool will_retry_ = false;
  bool waits_for_backup_ = false;               // a request of a client at its bound
  std::vector<limit_ledger::location> located_; // of the request under way; kept for its memory
};

} // namespace penstock
