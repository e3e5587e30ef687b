// What a handle converts to is what the compiler checks: its parts, and no other actor.
#include "actors/interfaces/handles.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

#include <tuple>

using namespace penstock;

namespace {

/// What CAF asks, with an error, when handles are assigned.
template <class From, class To>
inline constexpr bool converts =
    caf::detail::tl_subset_of<typename To::signatures, typename From::signatures>::value;

/// None of them to another.
template <class... Handles>
constexpr bool all_differ() {
  const auto differs_from_others = []<class One>(const One*) {
    return ((std::is_same_v<One, Handles> || !converts<One, Handles>)&&...);
  };
  return (differs_from_others(static_cast<const Handles*>(nullptr)) && ...);
}

// What a front end is made of, once members of one type.
static_assert(all_differ<journal_handle, limiter_handle, usage_handle, idempotency_handle,
                         replicator_handle, publisher_handle, front_end_handle>());
// What a publisher and the queue are made of.
static_assert(all_differ<journal_handle, confirmations_handle, dead_letter_intake_handle,
                         delivery_lane_handle, publisher_handle, queue_handle>());
// What the admin plane asks.
static_assert(all_differ<queue_handle, accounts_handle, usage_reader_handle, usage_rebuilder_handle,
                         dead_letters_handle, replay_handle>());
// What a welcome names.
static_assert(all_differ<limiter_handle, front_end_handle, accounts_handle, membership_handle,
                         replica_handle>());
// What was sent as two actors, in an order that only a comment told.
static_assert(all_differ<directory_writer_handle, peer_connector_handle, membership_handle,
                         accounts_handle, handshake_acceptor_handle>());

// What an actor is told of others is a part of it.
static_assert(converts<front_end_handle, peer_listener_handle>);
static_assert(converts<limiter_handle, peer_listener_handle>);
static_assert(converts<idempotency_handle, placement_listener_handle>);
static_assert(converts<replicator_handle, confirmations_handle>);
static_assert(converts<retention_handle, confirmations_handle>);
static_assert(converts<dead_letters_handle, dead_letter_intake_handle>);
static_assert(converts<dead_letters_handle, jobs_handle>);
static_assert(converts<replay_handle, jobs_handle>);
// Who answers a drain is asked to; the others are only told.
static_assert(converts<journal_handle, drainable_handle>);
static_assert(converts<limiter_handle, drainable_handle>);
static_assert(!converts<retention_handle, drainable_handle>);
static_assert(!converts<membership_handle, drainable_handle>);

struct first_message {};
struct second_message {};
struct third_message {};
using small_handle = caf::typed_actor<caf::reacts_to<first_message>, caf::reacts_to<second_message>,
                                      caf::replies_to<third_message>::with<first_message>>;

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(first_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(second_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(third_message)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_interfaces_test, caf::first_custom_type_id + 995)
CAF_ADD_TYPE_ID(penstock_interfaces_test, (first_message))
CAF_ADD_TYPE_ID(penstock_interfaces_test, (second_message))
CAF_ADD_TYPE_ID(penstock_interfaces_test, (third_message))
CAF_END_TYPE_ID_BLOCK(penstock_interfaces_test)

namespace {

struct small_counts {
  int first = 0, second = 0;
};

/// In pieces; after the second message it takes only the first.
small_handle::behavior_type small_actor(small_handle::pointer self, small_counts* counts) {
  self->set_default_handler(ignore_message);
  std::tuple one{[counts](first_message) { ++counts->first; }};
  std::tuple others{[self, counts, one](second_message) {
                      ++counts->second;
                      self->become(partial_behavior<small_handle>(one));
                    },
                    [](third_message) { return first_message{}; }};
  return whole_behavior<small_handle>(one, std::move(others));
}

} // namespace

TEST_CASE_METHOD(actor_fixture, "a behaviour in pieces is whole, and a part of one drops the rest",
                 "[interfaces]") {
  small_counts counts;
  const auto small = system.spawn(small_actor, &counts);
  self->send(small, first_message{});
  self->send(small, third_message{});
  run();
  first_message answer;
  CHECK(take(self, answer));
  self->send(small, second_message{});
  self->send(small, second_message{});
  self->send(small, third_message{});
  self->send(small, first_message{});
  run();
  CHECK(counts.first == 2);
  CHECK(counts.second == 1);
  CHECK_FALSE(take(self, answer));
  caf::anon_send_exit(small, caf::exit_reason::user_shutdown);
  run();
}

TEST_CASE_METHOD(actor_fixture, "what an actor lacks is dropped, and it goes on", "[interfaces]") {
  small_counts counts;
  const auto small = system.spawn(small_actor, &counts);
  // As from a peer, which may send anything.
  caf::anon_send(plain_actor(small), std::uint64_t{7}, std::string{"nothing that it takes"});
  caf::anon_send(plain_actor(small), second_message{}, first_message{});
  self->send(small, first_message{});
  run();
  CHECK(counts.first == 1);
  CHECK(counts.second == 0);
  caf::anon_send_exit(small, caf::exit_reason::user_shutdown);
  run();
}
