#include "net/sinks/sink_kinds.hpp"

#include <array>
#include <utility>

namespace penstock {

namespace {

using sink_maker = result<std::shared_ptr<sink>> (*)(const sink_settings&, const sink_context&);

constexpr std::array<std::pair<std::string_view, sink_maker>, 6> sink_makers{{
    {"nats", make_nats_sink},
    {"kafka", make_kafka_sink},
    {"kinesis", make_kinesis_sink},
    {"sqs", make_sqs_sink},
    {"redis", make_redis_sink},
    {"http", make_http_sink},
}};

} // namespace

result<std::shared_ptr<sink>> make_sink(const sink_settings& settings,
                                        const sink_context& context) {
  for (const auto& [kind, make] : sink_makers)
    if (kind == settings.kind) return make(settings, context);
  return error{errc::config,
               "sinks." + context.name + ".kind: there is no '" + settings.kind + "'"};
}

} // namespace penstock
