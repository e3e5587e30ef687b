// What a node says of itself: probes, metrics and status.
#include "net/admin/admin_route.hpp"
#include "net/http/readiness.hpp"
#include "net/telemetry/status_page.hpp"

namespace penstock {

namespace {

namespace http = boost::beast::http;
using boost::asio::awaitable;

awaitable<admin_answer> get_metrics(admin_context& context, admin_request&) {
  co_return admin_answer{.content_type = metrics_content_type,
                         .body = metrics_page(context.metrics)};
}

awaitable<admin_answer> get_status(admin_context& context, admin_request&) {
  co_return admin_answer{.body = status_json(context.metrics, context.node)};
}

awaitable<admin_answer> get_live(admin_context&, admin_request&) {
  co_return admin_answer{.content_type = "text/plain; charset=utf-8", .body = "ok\n"};
}

awaitable<admin_answer> get_ready(admin_context& context, admin_request& request) {
  const auto state = readiness_of(context.node);
  co_return admin_answer{.status = state.ready ? 200u : 503u,
                         .content_type = "text/plain; charset=utf-8",
                         .body = readiness_text(state, state.ready, request.query)};
}

constexpr admin_route routes_of_node[] = {
    {http::verb::get,
     "/livez",
     get_live,
     {.kind = admin_kind::stranger, .open = true, .vital = true}},
    {http::verb::get,
     "/readyz",
     get_ready,
     {.kind = admin_kind::stranger, .open = true, .vital = true}},
    {http::verb::get, "/metrics", get_metrics, {.session = true, .vital = true}},
    {http::verb::get, "/v1/admin/status", get_status, {.session = true, .vital = true}},
};

} // namespace

std::span<const admin_route> node_routes() {
  return routes_of_node;
}

} // namespace penstock
