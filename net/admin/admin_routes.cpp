#include "net/admin/admin_routes.hpp"

#include "net/admin/login.hpp"

#include <span>
#include <vector>

// A line a file of routes, which defines `std::span<const admin_route> NAME_routes()`.
#define PENSTOCK_ADMIN_ROUTES(ROUTES)                                                              \
  ROUTES(node)                                                                                     \
  ROUTES(login)                                                                                    \
  ROUTES(drain)                                                                                    \
  ROUTES(usage)                                                                                    \
  ROUTES(usage_rebuild)                                                                            \
  ROUTES(queue)                                                                                    \
  ROUTES(accounts)                                                                                 \
  ROUTES(dead_letters)                                                                             \
  ROUTES(replay)

namespace penstock {

#define PENSTOCK_DECLARE_ROUTES(name) std::span<const admin_route> name##_routes();
PENSTOCK_ADMIN_ROUTES(PENSTOCK_DECLARE_ROUTES)

namespace {

namespace http = boost::beast::http;

/// In the order of the list. Of routes of a method that match, the last counts.
const std::vector<admin_route>& all_admin_routes() {
#define PENSTOCK_ADD_ROUTES(name) name##_routes(),
  static const auto all = [] {
    std::vector<admin_route> routes;
    for (const auto more : {PENSTOCK_ADMIN_ROUTES(PENSTOCK_ADD_ROUTES)})
      routes.insert(routes.end(), more.begin(), more.end());
    return routes;
  }();
  return all;
}

admin_answer not_allowed(const std::string& allow) {
  auto out = answer_of(problem{.status = 405, .detail = "only " + allow + " is answered here"});
  out.allow = allow;
  return out;
}

} // namespace

std::optional<std::string> match_route(std::string_view pattern, std::string_view path) {
  const auto at = pattern.find('{');
  if (at == pattern.npos) return pattern == path ? std::optional<std::string>{""} : std::nullopt;
  const auto before = pattern.substr(0, at);
  const auto after = pattern.substr(pattern.find('}') + 1);
  if (path.size() <= before.size() + after.size() || path.substr(0, at) != before ||
      path.substr(path.size() - after.size()) != after)
    return std::nullopt;
  const auto value = path.substr(at, path.size() - before.size() - after.size());
  if (value.find('/') != value.npos) return std::nullopt;
  return percent_decode(value);
}

admin_admission admit_admin(const admin_context& context, admin_request& request) {
  const auto method = request.method == http::verb::head ? http::verb::get : request.method;
  const admin_route* found = nullptr;
  std::string allow;
  for (const auto& candidate : all_admin_routes()) {
    auto name = match_route(candidate.pattern, request.path);
    if (!name) continue;
    allow += (allow.empty() ? "" : ", ") + std::string{http::to_string(candidate.method)};
    if (candidate.method == http::verb::get) allow += ", HEAD";
    if (candidate.method == method) {
      found = &candidate;
      request.name = std::move(*name);
    }
  }
  request.trusted = context.token.admits(request.authorization) ||
                    (found && found->rules.session && has_session(context, request));
  // Without the token nobody learns which paths there are.
  if (!request.trusted && !(found && found->rules.open))
    return {nullptr, answer_of(problem{.status = 401,
                                       .detail = "send the admin token as 'Authorization: Bearer "
                                                 "TOKEN'"})};
  if (!found && !allow.empty()) return {nullptr, not_allowed(allow)};
  if (!found)
    return {nullptr, answer_of(problem{.status = 404, .detail = "there is nothing at this path"})};
  if (found->rules.name && !found->rules.name->is_one(request.name))
    return {nullptr,
            answer_of(problem{.status = 400, .detail = std::string{found->rules.name->rule}})};
  return {found};
}

} // namespace penstock
