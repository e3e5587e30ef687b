// Lets the oldest events of a stream go, where the stream says so.
#pragma once

#include "actors/delivery/cursor_saver.hpp"
#include "actors/delivery/dead_letter_sender.hpp"
#include "actors/delivery/expired_events.hpp"
#include "actors/delivery/publish_answers.hpp"
#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_stream.hpp"
#include "actors/delivery/stream_reader.hpp"

#include <cstddef>

namespace penstock {

/// Not synchronised; blocks on the disk.
class stream_expiry {
 public:
  stream_expiry(const publisher_context& context, publish_answers& answers, cursor_saver& saver,
                const dead_letter_sender& letters, stream_reader& reader)
      : context_(context), answers_(answers), saver_(saver), letters_(letters), reader_(reader) {}

  /// What is under way stays, and so do dead letters that are not kept: where there is no room for
  /// them the stream may hold too much for long, and takes no more.
  void expire_old(publisher_stream& of);

 private:
  std::size_t drop_oldest(publisher_stream& of, const stream_rule& rule, expired_events& gone);

  const publisher_context& context_;
  publish_answers& answers_;
  cursor_saver& saver_;
  const dead_letter_sender& letters_;
  stream_reader& reader_;
};

} // namespace penstock
