// CloudEvents 1.0.2 as HTTP carries them: structured, batched and binary.
#pragma once

#include "net/http/request.hpp"

#include <simdjson.h>

#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The content type under which a structured event, or one of a batch, is stored.
inline constexpr std::string_view cloud_event_content_type = "application/cloudevents+json";
/// The most attributes of one event, and bytes of all their names and values together.
inline constexpr std::size_t max_cloud_event_attributes = 64;
inline constexpr std::size_t max_cloud_event_attribute_bytes = 16 << 10;
/// Besides these an event may have `penstockid`, `partitionkey`, `upstreamid` and `upstreamkey`,
/// which nodes add to what they pass on; so many bytes of each are not counted.
inline constexpr std::size_t max_relayed_attribute_bytes = 35;

/// What an event says of itself.
struct cloud_event {
  std::string id;
  std::string source;
  /// `penstockid`: which event of the Penstock that passed it on this is; "" for none.
  std::string relayed_id;
  /// {"ce_id":…,"ce_source":…} with every attribute that is set. All values are strings, in the
  /// specification's canonical form, so that they are the same in all three modes.
  std::string attributes;
};

/// Reads and checks events; keeps the parsers' memory. One thread. JSON texts are followed by
/// json_padding_bytes readable bytes (see event_body.hpp).
class cloud_event_reader {
 public:
  explicit cloud_event_reader(std::size_t max_document_bytes);

  /// The functions below give false for what is no valid event; this says why, and names the
  /// attribute. Until the next call.
  const std::string& why() const { return why_; }

  /// application/cloudevents+json.
  bool structured(std::string_view text, cloud_event& out);

  /// Attributes from the fields whose names begin with "ce-".
  bool binary(const std::vector<header_field>& fields, cloud_event& out);

  /// application/cloudevents-batch+json; it may have no events. False: it is no JSON array.
  bool open_batch(std::string_view text);
  std::size_t batch_size() const { return slices_.size(); }
  /// After open_batch(): each(raw, event) for every element in order, until it returns false. `raw`
  /// is the element's bytes as they came; `event` is null if it is no valid event, for the reason
  /// that why() gives.
  template <class F>
  void for_each_in_batch(F&& each) {
    std::size_t i = 0;
    cloud_event event;
    for (simdjson::dom::element element : batch_) {
      event = {};
      auto valid = read(element, event);
      if (!each(slices_[i++], valid ? &event : nullptr)) return;
    }
  }

 private:
  bool read(simdjson::dom::element element, cloud_event& out);
  bool fail(std::string why);
  bool parse(std::string_view text, simdjson::dom::element& document);

  simdjson::dom::parser parser_;
  simdjson::ondemand::parser slicer_;
  simdjson::dom::array batch_;
  std::vector<std::string_view> slices_;
  std::string why_;
};

} // namespace penstock
