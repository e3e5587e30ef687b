// Messages of the dead-letters actor and the replay actor: all within a node, never serialised.
#pragma once

#include "actors/delivery/delivery_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "storage/stores/dead_letter_store.hpp"
#include "storage/stores/delivery_job.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// The publishers by the names of their sinks; told once, before which no job sends anything.
struct publishers_known {
  std::map<std::string, publisher_handle> publishers;
};

/// Answered with dead_letters_page_ptr.
struct list_dead_letters {
  dead_letter_filter filter;
  std::uint64_t after = 0; ///< numbers after this one
  std::uint32_t limit = 100;
  bool with_bodies = false;
};
struct dead_letters_page {
  bool ok = true;
  error why;
  std::vector<kept_dead_letter> letters;
  std::uint64_t next = 0;                 ///< the `after` to go on with; 0: there are no more
  std::vector<dead_letter_tally> tallies; ///< of all letters, whatever the filter
};
using dead_letters_page_ptr = std::shared_ptr<const dead_letters_page>;

/// Drops letters for good; answered with dead_letters_dropped.
struct drop_dead_letters {
  dead_letter_filter filter;
};
struct dead_letters_dropped {
  bool ok = true;
  error why;
  std::uint64_t dropped = 0;
};

/// Starts a job that sends letters to their sinks again; answered with job_answer. When nothing
/// matches, the job in the answer is done and its number 0.
struct retry_dead_letters {
  dead_letter_filter filter;
  std::uint32_t rate = 0; ///< events per second; 0: as fast as the sink takes them
};

/// An event's place in the journal: by number or by when it was accepted. Neither: an end of what
/// there is.
struct replay_place {
  std::optional<std::uint64_t> seq{};
  std::optional<std::int64_t> time_ms{};
};
/// To the replay actor: send the events of a stream from one place to another, both inclusive, to a
/// sink. Answered with job_answer.
struct start_replay {
  std::string stream;
  std::string sink;
  replay_place from{};
  replay_place to{};
  std::uint32_t rate = 0;
  bool dry_run = false; ///< only count: the job in the answer has `total` and no number
};

/// A job as it stands, or why there is none.
struct job_answer {
  bool ok = true;
  error why;
  delivery_job job;
};

/// To either actor: its jobs; answered with job_list_ptr.
struct list_jobs {};
struct job_list {
  bool ok = true;
  error why;
  std::vector<delivery_job> jobs; ///< running ones first, then the newest
};
using job_list_ptr = std::shared_ptr<const job_list>;

/// To the actor whose job it is; each is answered with job_answer.
struct get_job {
  std::uint64_t number = 0;
};
struct cancel_job {
  std::uint64_t number = 0;
};
struct resume_job {
  std::uint64_t number = 0;
};

/// An actor's own reminder that a job may send more.
struct job_step {
  std::uint64_t number = 0;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::publishers_known)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::list_dead_letters)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::dead_letters_page_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::drop_dead_letters)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::dead_letters_dropped)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::retry_dead_letters)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::start_replay)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::job_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::list_jobs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::job_list_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::get_job)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::cancel_job)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::resume_job)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::job_step)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_dead_letters, caf::first_custom_type_id + 170)
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::publishers_known))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::list_dead_letters))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::dead_letters_page_ptr))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::drop_dead_letters))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::dead_letters_dropped))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::retry_dead_letters))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::start_replay))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::job_answer))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::list_jobs))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::job_list_ptr))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::get_job))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::cancel_job))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::resume_job))
CAF_ADD_TYPE_ID(penstock_dead_letters, (penstock::job_step))
CAF_END_TYPE_ID_BLOCK(penstock_dead_letters)
