// A front end whose streams wait for two sinks; their publishers are mailboxes, too.
#pragma once

#include "actors/base/unpublished.hpp"
#include "actors/streams/stream_settings.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

namespace penstock {

inline stream_settings published_to(std::vector<std::string> sinks,
                                    unpublished_policy policy = unpublished_policy::accept) {
  stream_settings out;
  out.ack = ack_level::published;
  out.sinks = std::move(sinks);
  out.publish_timeout_ms = std::chrono::seconds{1};
  out.on_publish_timeout = policy;
  return out;
}

class published_fixture : public front_end_fixture {
 public:
  front_end_options options;
  caf::scoped_actor composer{system};

  published_fixture() {
    options.streams["default"] = published_to({"queue", "bus", "log"});
    options.streams["strict"] = published_to({"bus"}, unpublished_policy::refuse);
    options.streams["queued"] = published_to({"queue"});
    options.streams["plain"] = {};
  }

  /// The next question to a publisher.
  static await_published_ptr awaited(caf::scoped_actor& publisher) {
    await_published_ptr out;
    take(publisher, out);
    return out;
  }
  /// A publisher's word on all items of a question.
  void settle(const await_published_ptr& question, bool published = true) {
    REQUIRE(question);
    published_update update;
    for (auto& item : question->items)
      update.items.push_back({item.token, published});
    tell(update);
  }
  /// Sends a request of client_for(0), and has it on the disk.
  void store(test_client& client, const std::string& request) {
    send(client, request);
    grant(asked(limiter_0));
    durable(appended());
  }
  static std::string to(std::string_view stream, std::string_view body = "body",
                        std::string_view fields = "") {
    return event(client_for(0), body, "/v1/events/" + std::string{stream}, fields);
  }
  std::uint64_t unconfirmed(unpublished why) {
    return metrics.unpublished_answers[static_cast<std::size_t>(why)].value();
  }
  std::string text(const http_answer& answer, const char* member) {
    return std::string{json_of(answer).at(member).as_string()};
  }
};

} // namespace penstock
