// Whom actors send what to: a typed handle for each actor that others know, a line a message. The
// compiler then refuses a message that its receiver does not take, and an actor that lacks a
// handler for one. What a message means stands with it, in the `*_messages.hpp` of its room; here
// they are declared only, so that a sender needs no header of its receiver.
//
// An actor's own reminders are in an interface of its room, which extends the one here. Whoever has
// to know but a part of an actor has a handle of that part: a handle converts to each of its parts,
// and never to another actor's.
#pragma once

#include <caf/atom.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <memory>
#include <string>
#include <vector>

namespace penstock {

// -- messages -------------------------------------------------------------------------------------

template <class Content>
class told_content;

struct accounts_changed;
struct account_done;
struct accounts_digest;
struct accounts_records;
struct admit_reply;
struct admit_request;
struct adopt_replica;
struct again_done;
struct append_batch;
struct append_done;
struct await_join;
struct await_published;
struct away_answer;
struct away_question;
struct backup_rows;
struct backup_taken;
struct dead_letters_stored;
struct store_dead_letters;
struct cancel_job;
struct claim_reply;
struct claim_request;
struct claims_settled;
struct commit_due;
struct confirmed_up_to;
struct counters_changed;
struct counters_saved;
struct create_key;
struct delete_plan;
struct deliver_again;
struct directory_done;
struct directory_listeners;
struct directory_update;
struct directory_request;
struct drain;
struct drain_entered;
struct drained;
struct drop_dead_letters;
struct durable_rows;
struct fetch_reply;
struct fetch_request;
struct forget_stream;
struct forward_reply;
struct forward_request;
struct get_job;
struct get_plans;
struct held_by;
struct held_passed_on;
struct hello;
struct job_answer;
struct job_list;
struct joined_cluster;
struct journal_rows;
struct key_created;
struct key_indexes;
struct key_list;
struct key_rows;
struct keys_taken;
struct lane_deliver;
struct lane_delivered;
struct leases_returned;
struct leave_cluster;
struct leave_shards;
struct left_cluster;
struct dead_letters_dropped;
struct dead_letters_page;
struct limits_query;
struct limits_reply;
struct links_known;
struct list_accounts;
struct list_jobs;
struct list_keys;
struct list_dead_letters;
struct member_epoch;
struct membership_partners;
struct pass_on_held;
struct owner_reply;
struct owner_request;
struct peer_down;
struct peer_up;
struct placement_changed;
struct plan_answer;
struct plan_kept;
struct plan_listing;
struct plan_question;
struct plans_changed;
struct plans_configured;
struct publish_left;
struct publish_rest;
struct published_update;
struct publishers_known;
struct put_plan;
struct queue_delivery;
struct queue_receipts;
struct queue_receipts_done;
struct queue_receive;
struct queue_replay;
struct queue_stats_reply;
struct queue_stats_request;
struct queue_stop_waiting;
struct records_away;
struct records_changed;
struct records_put;
struct records_told;
struct records_watched;
struct refused_streams;
struct replica_adopted;
struct replica_batch;
struct replica_held;
struct replica_news;
struct replicated_streams;
struct resume_job;
struct retry_dead_letters;
struct returns_taken;
struct revoke_key;
struct shard_rows;
struct shard_taken;
struct shards_gone;
struct sink_backlog;
struct space_rules_changed;
struct start_replay;
struct stream_seen;
struct subscribe_rows;
struct subscribe_verdicts;
struct turn_verdicts;
struct upkeep_tick;
struct usage_answer;
struct usage_batch;
struct usage_copied;
struct usage_copy;
struct usage_greeting;
struct usage_hand_over;
struct usage_handed_over;
struct usage_part;
struct usage_part_question;
struct usage_query;
struct usage_rebuild_request;
struct usage_sources;
struct usage_sources_question;
struct usage_write;
struct usage_written;
struct watch_space;
struct watch_streams;
struct welcome;

// -- parts that several actors have in common -----------------------------------------------------

/// Has something to finish or to save before it ends.
using drainable_handle = caf::typed_actor<caf::replies_to<drain>::with<drained>>;

/// Is told which nodes are linked to this one.
using peer_listener_handle = caf::typed_actor<caf::reacts_to<peer_up>, caf::reacts_to<peer_down>>;

/// Is told where shards are.
using placement_listener_handle = caf::typed_actor<caf::reacts_to<placement_changed>>;

/// Extensions that subscribed: to durable events, to verdicts, to members and to drains.
using rows_listener_handle =
    caf::typed_actor<caf::reacts_to<std::shared_ptr<const told_content<durable_rows>>>>;
using verdicts_listener_handle =
    caf::typed_actor<caf::reacts_to<std::shared_ptr<const told_content<turn_verdicts>>>>;
using members_listener_handle = peer_listener_handle::extend_with<placement_listener_handle>;
using drains_listener_handle = caf::typed_actor<caf::reacts_to<drain_entered>>;

// -- the path of a request ------------------------------------------------------------------------

/// A front end, as actors know it. What only net/ and cli/ send it is in net/ingest/front_end.hpp.
using front_end_handle = caf::typed_actor<
    // of limiters
    caf::reacts_to<admit_reply>, caf::reacts_to<limits_reply>,
    // of the journal
    caf::reacts_to<append_done>, caf::reacts_to<std::shared_ptr<const refused_streams>>,
    // of publishers and the replicator: whose wait has ended
    caf::reacts_to<published_update>,
    // of the indexes of keys
    caf::reacts_to<claim_reply>,
    // of other nodes' front ends: events whose keys are here, what became of such, and keys that
    // moved here; the index answers those
    caf::reacts_to<forward_request>, caf::reacts_to<forward_reply>, caf::reacts_to<key_rows>,
    // of the links and of membership
    caf::reacts_to<peer_up>, caf::reacts_to<peer_down>, caf::reacts_to<placement_changed>,
    // of the accounts actor
    caf::reacts_to<accounts_changed>>;

/// Owns the counters of some shards, and asks the owners of the others.
using limiter_handle = caf::typed_actor<
    // of front ends; what other nodes have to say to an admit_request follows in further replies
    caf::replies_to<admit_request>::with<admit_reply>,
    caf::replies_to<limits_query>::with<limits_reply>,
    // of the accounts actor
    caf::reacts_to<plans_changed>,
    // of the counters actor
    caf::reacts_to<counters_saved>,
    // of limiters of other nodes: questions and answers, leases that go back, shards that move,
    // backups
    caf::reacts_to<owner_request>, caf::reacts_to<owner_reply>, caf::reacts_to<leases_returned>,
    caf::reacts_to<returns_taken>, caf::reacts_to<shard_rows>, caf::reacts_to<shard_taken>,
    caf::replies_to<backup_rows>::with<backup_taken>, caf::reacts_to<backup_taken>,
    // of the links and of membership
    caf::reacts_to<peer_up>, caf::reacts_to<peer_down>, caf::reacts_to<placement_changed>,
    caf::reacts_to<member_epoch>,
    // of a drain: when nothing is here any more, and when all is saved
    caf::replies_to<leave_shards>::with<shards_gone>, caf::replies_to<drain>::with<drained>>;

/// Saves what clients used of limits that survive a restart; tells the limiter counters_saved.
using counters_handle =
    caf::typed_actor<caf::reacts_to<counters_changed>, caf::replies_to<drain>::with<drained>>;

/// An index of keys: who has claimed what.
using idempotency_handle = caf::typed_actor<
    // of front ends: answered with claim_reply, and by another one for each claim that waits
    caf::reacts_to<claim_request>, caf::reacts_to<claims_settled>,
    // of other nodes, by way of front ends: keys that moved here, and those that arrived there
    caf::replies_to<key_rows>::with<keys_taken>, caf::reacts_to<keys_taken>,
    // of the replicator
    caf::reacts_to<held_by>,
    // of the links and of membership
    caf::reacts_to<peer_up>, caf::reacts_to<peer_down>, caf::reacts_to<placement_changed>,
    // of a drain: when all keys are with other nodes; and the end
    caf::replies_to<leave_shards>::with<shards_gone>, caf::reacts_to<drain>>;

// -- what lasts -----------------------------------------------------------------------------------

/// Makes events durable.
using journal_handle = caf::typed_actor<
    // of front ends; it answers append_done
    caf::reacts_to<std::shared_ptr<append_batch>>,
    // its own reminder; a drain waits for the answer
    caf::reacts_to<commit_due>,
    // of publishers and the queue; watch_streams is answered with a stream_seen for each
    caf::replies_to<fetch_request>::with<fetch_reply>, caf::reacts_to<watch_streams>,
    caf::reacts_to<forget_stream>, caf::reacts_to<std::shared_ptr<const sink_backlog>>,
    // of the node's start and of reloads
    caf::reacts_to<watch_space>, caf::reacts_to<subscribe_rows>,
    caf::reacts_to<space_rules_changed>, caf::reacts_to<replicated_streams>,
    // of a drain
    caf::replies_to<drain>::with<drained>>;

/// Is told what a sink has confirmed.
using confirmations_handle = caf::typed_actor<caf::reacts_to<confirmed_up_to>>;

/// The keeper, which retires segments that nobody needs any more.
using retention_handle = confirmations_handle::extend<
    // of the journal, when it took the prepared segment
    caf::reacts_to<upkeep_tick>,
    // of a drain
    caf::reacts_to<drain>>;

/// Is told what is held of the events that it sent: a replicator, or a holder that passes on.
using held_listener_handle = caf::typed_actor<caf::reacts_to<replica_held>>;

/// Sends this node's events to the node that holds them, too.
using replicator_handle = confirmations_handle::extend<
    // of the journal
    caf::reacts_to<replicated_streams>, caf::reacts_to<journal_rows>,
    // of front ends; it answers published_update
    caf::reacts_to<std::shared_ptr<const await_published>>,
    // of the links
    caf::reacts_to<peer_up>, caf::reacts_to<peer_down>,
    // of another node's replica actor
    caf::reacts_to<replica_held>,
    // of the node's start: who tells the holder of keys
    caf::reacts_to<key_indexes>,
    // of a drain
    caf::replies_to<drain>::with<drained>>;

/// Holds events of other nodes.
using replica_handle = caf::typed_actor<
    // of another node's replicator, or of one that passes on what it holds; it answers replica_held
    caf::reacts_to<replica_batch>, caf::reacts_to<replica_news>,
    // of another node's replica actor, to which it passes on
    caf::reacts_to<replica_held>,
    // of the links
    caf::reacts_to<peer_up>, caf::reacts_to<peer_down>,
    // of the adopter
    caf::reacts_to<replica_adopted>,
    // of the node's start: who is told the keys of what is held
    caf::reacts_to<key_indexes>,
    // of a drain
    caf::replies_to<pass_on_held>::with<held_passed_on>, caf::replies_to<drain>::with<drained>>;

/// Publishes what a node that did not come back has owed.
using adopter_handle = caf::typed_actor<
    // of the replica actor
    caf::replies_to<adopt_replica>::with<replica_adopted>,
    // of a drain
    caf::reacts_to<drain>>;

// -- the ways out ---------------------------------------------------------------------------------

/// Moves events to one sink.
using publisher_handle = caf::typed_actor<
    // of the journal
    caf::reacts_to<fetch_reply>, caf::reacts_to<stream_seen>,
    // of its lanes
    caf::reacts_to<lane_delivered>,
    // of jobs
    caf::replies_to<std::shared_ptr<const deliver_again>>::with<again_done>,
    // of front ends; it answers published_update
    caf::reacts_to<std::shared_ptr<const await_published>>,
    // of reloads
    caf::reacts_to<space_rules_changed>,
    // of a drain
    caf::replies_to<publish_rest>::with<publish_left>, caf::replies_to<drain>::with<drained>>;

/// One lane of a publisher.
using delivery_lane_handle =
    caf::typed_actor<caf::replies_to<std::shared_ptr<const lane_deliver>>::with<lane_delivered>>;

/// Keeps what a sink refused for good.
using dead_letter_intake_handle = caf::typed_actor<
    caf::replies_to<std::shared_ptr<const store_dead_letters>>::with<dead_letters_stored>>;

/// Has jobs that send events again.
using jobs_handle = caf::typed_actor<
    // of the admin plane
    caf::replies_to<list_jobs>::with<std::shared_ptr<const job_list>>,
    caf::replies_to<get_job>::with<job_answer>, caf::replies_to<cancel_job>::with<job_answer>,
    caf::replies_to<resume_job>::with<job_answer>,
    // of the node's start
    caf::reacts_to<publishers_known>,
    // of a drain
    caf::replies_to<drain>::with<drained>>;

/// The dead letters: of publishers and the queue, and of the admin plane.
using dead_letters_handle = dead_letter_intake_handle::extend_with<jobs_handle>::extend<
    caf::replies_to<list_dead_letters>::with<std::shared_ptr<const dead_letters_page>>,
    caf::replies_to<drop_dead_letters>::with<dead_letters_dropped>,
    caf::replies_to<retry_dead_letters>::with<job_answer>>;

/// The replays: of the admin plane.
using replay_handle = jobs_handle::extend<caf::replies_to<start_replay>::with<job_answer>>;

/// The embedded queue.
using queue_handle = caf::typed_actor<
    // of the admin plane
    caf::replies_to<queue_receive>::with<std::shared_ptr<const queue_delivery>>,
    caf::replies_to<queue_receipts>::with<queue_receipts_done>,
    caf::replies_to<queue_replay>::with<std::shared_ptr<const queue_delivery>>,
    caf::replies_to<queue_stats_request>::with<queue_stats_reply>,
    caf::reacts_to<queue_stop_waiting>,
    // of the journal
    caf::reacts_to<fetch_reply>,
    // of reloads
    caf::reacts_to<space_rules_changed>,
    // of a drain
    caf::replies_to<drain>::with<drained>>;

/// Forgets names of streams: its own reminder, nobody else sends it anything.
using names_keeper_handle = caf::typed_actor<caf::reacts_to<caf::tick_atom>>;

// -- accounts and usage ---------------------------------------------------------------------------

/// Keys and plans.
using accounts_handle = caf::typed_actor<
    // of the admin plane
    caf::replies_to<create_key>::with<key_created>,
    caf::replies_to<list_keys>::with<std::shared_ptr<const key_list>>,
    caf::replies_to<revoke_key>::with<account_done>, caf::replies_to<put_plan>::with<account_done>,
    caf::replies_to<delete_plan>::with<account_done>,
    caf::replies_to<get_plans>::with<plan_listing>,
    caf::replies_to<list_accounts>::with<std::shared_ptr<const std::vector<std::string>>>,
    // of reloads
    caf::reacts_to<plans_configured>,
    // of the links
    caf::reacts_to<peer_up>, caf::reacts_to<peer_down>,
    // of other nodes' accounts actors; a digest is answered with accounts_records
    caf::reacts_to<accounts_digest>, caf::reacts_to<accounts_records>,
    // and what they ask before they delete a plan; it answers plan_answer
    caf::reacts_to<plan_question>, caf::reacts_to<plan_answer>, caf::reacts_to<plan_kept>,
    // of the directory
    caf::reacts_to<records_told>, caf::reacts_to<records_watched>, caf::reacts_to<records_away>,
    caf::reacts_to<records_put>>;

/// Who sent how much.
using usage_handle = caf::typed_actor<
    // of front ends
    caf::reacts_to<std::shared_ptr<const usage_batch>>,
    // of the rebuilder
    caf::replies_to<usage_write>::with<usage_written>,
    // of the links
    caf::reacts_to<peer_up>, caf::reacts_to<peer_down>,
    // of other nodes' usage actors: their rows, of which it keeps a copy; it answers usage_copied
    caf::reacts_to<usage_greeting>, caf::reacts_to<usage_copy>, caf::reacts_to<usage_copied>,
    // of gatherers, also of other nodes
    caf::replies_to<usage_sources_question>::with<usage_sources>,
    // of a drain
    caf::replies_to<usage_hand_over>::with<usage_handed_over>,
    caf::replies_to<drain>::with<drained>>;

/// Makes reports of usage: of the admin plane, over this node alone or over all nodes.
using usage_reports_handle = caf::typed_actor<
    caf::replies_to<std::shared_ptr<const usage_query>>::with<std::shared_ptr<const usage_answer>>,
    caf::reacts_to<drain>>;

/// Reads this node's usage, and the copies that it keeps; parts of reports for gatherers, also of
/// other nodes.
using usage_reader_handle =
    usage_reports_handle::extend<caf::replies_to<usage_part_question>::with<usage_part>>;

/// Asks all nodes for what a report over them adds up.
using usage_gatherer_handle = usage_reports_handle::extend<
    // of the links and of membership
    caf::reacts_to<peer_up>, caf::reacts_to<peer_down>, caf::reacts_to<placement_changed>>;

/// Counts usage again from the journal: of the admin plane.
using usage_rebuilder_handle = caf::typed_actor<caf::reacts_to<usage_rebuild_request>>;

// -- the cluster ----------------------------------------------------------------------------------

/// Keeps this node in the cluster.
using membership_handle = caf::typed_actor<
    // of the node's start: the directory's writer and the links, before anything else; and the
    // question whether the node was let in
    caf::reacts_to<membership_partners>, caf::replies_to<await_join>::with<joined_cluster>,
    // of the directory's writer
    caf::reacts_to<directory_update>, caf::reacts_to<directory_done>,
    // of the links
    caf::reacts_to<peer_up>, caf::reacts_to<peer_down>,
    // of another node's membership
    caf::replies_to<away_question>::with<away_answer>,
    // of a drain
    caf::replies_to<leave_cluster>::with<left_cluster>, caf::reacts_to<drain>>;

/// Does what blocks on the directory.
using directory_writer_handle = caf::typed_actor<
    // of the node's start: whom it tells
    caf::reacts_to<directory_listeners>,
    // of membership
    caf::replies_to<directory_request>::with<directory_done>,
    // of the accounts actor
    caf::replies_to<records_changed>::with<records_put>,
    // of a drain
    caf::reacts_to<drain>>;

/// The gate, which peers find on the cluster port.
using handshake_acceptor_handle = caf::typed_actor<
    // of another node's links
    caf::replies_to<hello>::with<welcome>,
    // of the node's start: whom it tells of those that it welcomed
    caf::reacts_to<links_known>,
    // of a drain
    caf::reacts_to<drain>>;

/// Keeps a link to each peer.
using peer_connector_handle = caf::typed_actor<
    // of the gate: the address of a peer that greeted this node
    caf::reacts_to<caf::connect_atom, std::string>,
    // of membership
    caf::reacts_to<placement_changed>,
    // of a drain
    caf::reacts_to<drain>>;

} // namespace penstock
