#include "actors/cluster/peer_handles.hpp"

namespace penstock {

namespace {

template <class To, class From>
std::vector<To> cast_all(const std::vector<From>& from) {
  std::vector<To> out;
  for (const auto& each : from)
    out.push_back(caf::actor_cast<To>(each));
  return out;
}

} // namespace

handshake_acceptor_handle handshake_acceptor_of(const caf::strong_actor_ptr& found) {
  return caf::actor_cast<handshake_acceptor_handle>(found);
}

peer_up peer_up_of(const welcome& answer, std::uint16_t member, const std::string& address) {
  return {.member = member,
          .limiters = cast_all<limiter_handle>(answer.limiters),
          .front_ends = cast_all<front_end_handle>(answer.front_ends),
          .accounts = caf::actor_cast<accounts_handle>(answer.accounts),
          .directory = caf::actor_cast<membership_handle>(answer.directory),
          .replicas = caf::actor_cast<replica_handle>(answer.replicas),
          .address = address,
          .version = answer.version,
          .usage = caf::actor_cast<usage_handle>(answer.usage),
          .usage_reader = caf::actor_cast<usage_reader_handle>(answer.usage_reader)};
}

welcome welcome_of(const peer_up& here) {
  return {.version = here.version,
          .limiters = cast_all<caf::actor>(here.limiters),
          .front_ends = cast_all<caf::actor>(here.front_ends),
          .accounts = caf::actor_cast<caf::actor>(here.accounts),
          .directory = caf::actor_cast<caf::actor>(here.directory),
          .replicas = caf::actor_cast<caf::actor>(here.replicas),
          .secret_check = {},
          .usage = caf::actor_cast<caf::actor>(here.usage),
          .usage_reader = caf::actor_cast<caf::actor>(here.usage_reader)};
}

} // namespace penstock
