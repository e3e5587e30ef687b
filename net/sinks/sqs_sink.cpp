#include "net/sinks/sink_kinds.hpp"

namespace penstock {

result<std::shared_ptr<sink>> make_sqs_sink(const sink_settings&, const sink_context& context) {
  return error{errc::config, "sinks." + context.name + ".kind: not built yet"};
}

} // namespace penstock
