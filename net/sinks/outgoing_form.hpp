// How an event looks outside: CloudEvents 1.0.2, structured or as named attributes.
#pragma once

#include "actors/delivery/sink.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// Writes events for one sink. One thread.
class outgoing_form {
 public:
  /// `source`: of CloudEvents made here, for events that did not come as one.
  explicit outgoing_form(std::string source) : source_{std::move(source)} {}

  /// Appends one JSON object. An event that came as a structured CloudEvent keeps its bytes, but
  /// for two extensions that are put first: `penstockid`, our id, and `partitionkey`. What came
  /// under these names, from a client or a Penstock before us, goes on as `upstreamid` and
  /// `upstreamkey`. One that came in binary mode keeps its other attributes. Any other gets our id
  /// as `id`, the source, `penstock.STREAM` as its type, the time of acceptance, its content type,
  /// and `data` (JSON as it is, other text as a string) or `data_base64`.
  void append_structured(std::string& out, const outgoing_event& event, const sink_batch& batch);

  /// The attributes without a prefix, for bindings with headers: "id", "source", "specversion",
  /// "type", "time", "partitionkey", extensions; and "penstockid" where "id" is not ours. Empty for
  /// an event that came as a structured CloudEvent, apart from "penstockid" and "partitionkey": its
  /// body says the rest. The content type is the event's own and not among them. Valid until the
  /// next call.
  const std::vector<std::pair<std::string, std::string>>& attributes(const outgoing_event& event,
                                                                     const sink_batch& batch);

  /// Our id of the event.
  static std::string id(const outgoing_event& event, const sink_batch& batch);
  /// The client as 16 hexadecimal digits: the key by which sinks keep order.
  static std::string client_key(const outgoing_event& event);
  /// `{stream}` replaced; other text as it is.
  static std::string fill_template(std::string_view pattern, std::string_view stream);
  /// Whether each stream has a target of its own.
  static bool names_stream(std::string_view pattern);
  /// What a failure says, where it says more than that the sink is at fault: nothing, if all
  /// streams go to the same target.
  static failure_scope scope_of(std::string_view pattern, failure_scope said) {
    return names_stream(pattern) ? said : failure_scope::sink;
  }

 private:
  const std::vector<std::pair<std::string, std::string>>&
  made_attributes(const outgoing_event& event, const sink_batch& batch);

  std::string source_;
  std::vector<std::pair<std::string, std::string>> made_;
  std::int64_t made_time_ms_ = -1;
  std::vector<std::pair<std::string, std::string>> attributes_;
};

} // namespace penstock
