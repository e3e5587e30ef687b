#include "net/admin/accounts.hpp"

#include "actors/accounts/account_messages.hpp"
#include "actors/limits/limit_text.hpp"
#include "net/base/json_body.hpp"
#include "net/base/rfc3339.hpp"
#include "net/base/stream_name.hpp"
#include "net/base/wall_time.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace penstock {

namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using boost::asio::awaitable;

std::string_view view(const json::string& text) {
  return {text.data(), text.size()};
}

/// An error never repeats the value: it may be a key in the wrong place.
error wrong_type(std::string_view name, std::string_view wanted) {
  return invalid(fmt::format("'{}' must be {}", name, wanted));
}

// -- what a key's body says -----------------------------------------------------------------------

/// The words for an entry that is wrong, or "" after storing it as it is kept.
using entry_check = std::string (*)(std::string_view text, std::string& kept);

std::string check_stream(std::string_view text, std::string& kept) {
  kept = text;
  return is_stream_name(text) ? "" : quote(text) + ": " + std::string{stream_name_rule};
}

std::string check_origin(std::string_view text, std::string& kept) {
  kept = normal_origin(text);
  return kept.empty() ? quote(text) + " is not an origin; write scheme and host without a path, "
                                      "like \"https://example.org\""
                      : "";
}

std::string check_network(std::string_view text, std::string& kept) {
  kept = text;
  const auto network = parse_network(text);
  return network ? ""
                 : quote(text) + " is not a network, as " + network.error().message +
                       "; write an address or a prefix, like \"203.0.113.0/24\" or "
                       "\"2001:db8::/32\"";
}

result<std::vector<std::string>> texts_of(const json::value& value, std::string_view name,
                                          entry_check check) {
  if (!value.is_array()) return wrong_type(name, "a list of texts");
  const auto& entries = value.get_array();
  if (entries.size() > max_restrictions)
    return invalid(fmt::format("'{}' has {} entries; a key takes at most {}", name, entries.size(),
                               max_restrictions));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].is_string()) return wrong_type(fmt::format("{}[{}]", name, i), "a text");
    std::string kept;
    if (const auto wrong = check(view(entries[i].get_string()), kept); !wrong.empty())
      return invalid(fmt::format("'{}[{}]': {}", name, i, wrong));
    if (std::find(out.begin(), out.end(), kept) != out.end())
      return invalid(fmt::format("'{}[{}]' is in the list twice; leave one out", name, i));
    out.push_back(std::move(kept));
  }
  return out;
}

result<std::int64_t> expiry_of(const json::value& value, std::int64_t now_ms) {
  if (value.is_null()) return std::int64_t{0};
  constexpr std::string_view wanted =
      "an RFC 3339 time, like \"2030-01-31T12:00:00Z\", or left out for a key that does not expire";
  if (!value.is_string()) return wrong_type("expires", wanted);
  const auto time = parse_rfc3339(view(value.get_string()));
  if (!time) return wrong_type("expires", wanted);
  if (*time <= now_ms) return invalid("'expires' is in the past; write a time to come");
  return *time;
}

template <class T>
result<void> store(result<T> value, T& into) {
  if (!value) return value.error();
  into = std::move(*value);
  return {};
}

result<void> take_member(std::string_view key, const json::value& value, create_key& command) {
  if (key == "account") {
    if (!value.is_string() || !is_account_name(view(value.get_string())))
      return wrong_type(key, account_name_rule);
    command.account = view(value.get_string());
    return {};
  }
  if (key == "plan") {
    if (!value.is_string() || !is_name(view(value.get_string()))) return wrong_type(key, name_rule);
    command.plan = view(value.get_string());
    return {};
  }
  if (key == "streams") return store(texts_of(value, key, check_stream), command.streams);
  if (key == "origins") return store(texts_of(value, key, check_origin), command.origins);
  if (key == "networks") return store(texts_of(value, key, check_network), command.networks);
  if (key == "expires") return store(expiry_of(value, wall_ms()), command.expires_ms);
  return invalid(quote(key) + " is not known; 'account', 'plan', 'streams', 'origins', "
                              "'networks' and 'expires' are");
}

result<create_key> key_request_of(std::string_view body) {
  const auto members = json_object_of(body, R"({"account":"acme","plan":"pro"})");
  if (!members) return members.error();
  create_key command;
  for (const auto& [key, value] : *members)
    if (auto taken = take_member({key.data(), key.size()}, value, command); !taken)
      return taken.error();
  if (command.account.empty()) return invalid(R"('account' is missing; add "account":"acme")");
  if (command.plan.empty()) return invalid(R"('plan' is missing; add "plan":"pro")");
  return command;
}

// -- what is answered -----------------------------------------------------------------------------

json::value time_or_null(std::int64_t time_ms) {
  if (time_ms == 0) return nullptr;
  return json::value(rfc3339(time_ms));
}

json::array array_of(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts)
    out.emplace_back(text);
  return out;
}

json::object key_json(const key_record& record) {
  return {{"id", record.id},
          {"prefix", record.shown},
          {"account", record.account},
          {"plan", record.plan},
          {"streams", array_of(record.streams)},
          {"origins", array_of(record.origins)},
          {"networks", array_of(record.networks)},
          {"created", rfc3339(record.created_ms)},
          {"expires", time_or_null(record.expires_ms)},
          {"revoked", time_or_null(record.revoked_ms)}};
}

json::object plan_json(const plan_entry& entry, const plan_listing& all) {
  const auto keys = all.keys.find(entry.rules.name);
  return {{"name", entry.rules.name},
          {"limits", json::parse(limits_text(entry.rules.limits))},
          {"source", entry.stored    ? "admin"
                     : entry.missing ? "missing"
                                     : "configuration"},
          {"keys", keys == all.keys.end() ? 0 : keys->second},
          {"changed", time_or_null(entry.changed_ms)}};
}

template <class Reply, class Request>
awaitable<result<Reply>> ask(admin_context& context, Request request) {
  if (!context.accounts) co_return error{errc::unavailable, "this node keeps no keys and plans"};
  co_return co_await context.actors.ask<Reply>(context.accounts, std::move(request),
                                               accounts_answer_timeout);
}

template <class Request>
awaitable<admin_answer> change(admin_context& context, Request request, admin_answer answer) {
  const auto done = co_await ask<account_done>(context, std::move(request));
  if (!done) co_return answer_of(done.error());
  if (!done->ok) co_return answer_of(done->why);
  co_return answer;
}

// POST /v1/admin/keys {"account":…,"plan":…,"streams":[…],"origins":[…],"networks":[…],
// "expires":…}, all but the first two optional: 201 with the key, which is shown only here. When
// the answer can't be delivered, the key is revoked again.
awaitable<admin_answer> post_key(admin_context& context, admin_request& request) {
  auto command = key_request_of(request.body);
  if (!command) co_return answer_of(command.error());
  const auto made = co_await ask<key_created>(context, std::move(*command));
  if (!made) co_return answer_of(made.error());
  if (!made->ok) co_return answer_of(made->why);
  auto body = key_json(made->record);
  body["key"] = made->key;
  admin_answer answer{.status = 201, .body = json::serialize(body)};
  answer.undelivered = [accounts = context.accounts, id = made->record.id] {
    caf::anon_send(accounts, revoke_key{id});
  };
  co_return answer;
}

// GET /v1/admin/keys?account=&after=&limit=: {"keys":[…],"next":…} by id, revoked ones too.
awaitable<admin_answer> get_keys(admin_context& context, admin_request& request) {
  list_keys command{.account = query_value(request.query, "account").value_or(""),
                    .after = query_value(request.query, "after").value_or(""),
                    .max = default_key_page};
  if (!command.account.empty() && !is_account_name(command.account))
    co_return answer_of(wrong_type("account", account_name_rule));
  if (const auto text = query_value(request.query, "limit")) {
    const auto* end = text->data() + text->size();
    const auto read = std::from_chars(text->data(), end, command.max);
    if (read.ec != std::errc{} || read.ptr != end || command.max < 1 || command.max > max_key_page)
      co_return answer_of(
          wrong_type("limit", fmt::format("a whole number from 1 to {}", max_key_page)));
  }
  const auto found = co_await ask<key_list_ptr>(context, std::move(command));
  if (!found) co_return answer_of(found.error());
  json::array keys;
  for (const auto& record : (*found)->keys)
    keys.push_back(key_json(record));
  json::object body{{"keys", std::move(keys)}};
  if (!(*found)->next.empty()) body["next"] = (*found)->next;
  co_return admin_answer{.body = json::serialize(body)};
}

// DELETE /v1/admin/keys/{id}: 204; 404 for an id that was never given.
awaitable<admin_answer> delete_key(admin_context& context, admin_request& request) {
  return change(context, revoke_key{request.name}, {.status = 204});
}

// GET /v1/admin/plans: {"plans":[{"name":…,"limits":[…],"source":…,"keys":…,"changed":…}]}.
awaitable<admin_answer> get_all_plans(admin_context& context, admin_request&) {
  const auto found = co_await ask<plan_listing>(context, get_plans{});
  if (!found) co_return answer_of(found.error());
  json::array plans;
  for (const auto& entry : found->plans->all())
    plans.push_back(plan_json(entry, *found));
  co_return admin_answer{.body = json::serialize(json::object{{"plans", std::move(plans)}})};
}

// GET /v1/admin/plans/{name}: one of these.
awaitable<admin_answer> get_plan(admin_context& context, admin_request& request) {
  const auto found = co_await ask<plan_listing>(context, get_plans{});
  if (!found) co_return answer_of(found.error());
  const auto* entry = found->plans->by_name(request.name);
  if (!entry)
    co_return answer_of(error{errc::not_found, "there is no plan " + quote(request.name)});
  co_return admin_answer{.body = json::serialize(plan_json(*entry, *found))};
}

// PUT /v1/admin/plans/{name} {"limits":[…]}: 200.
awaitable<admin_answer> put_one_plan(admin_context& context, admin_request& request) {
  const auto members = json_object_of(request.body, R"({"limits":[…]})");
  if (!members) co_return answer_of(members.error());
  for (const auto& [key, value] : *members)
    if (key != "limits")
      co_return answer_of(invalid(quote({key.data(), key.size()}) + " is not known; 'limits' is"));
  const auto* list = members->if_contains("limits");
  if (!list) co_return answer_of(invalid(R"('limits' is missing; [] is a plan without limits)"));
  auto limits = parse_limits(*list);
  if (!limits) co_return answer_of(limits.error());
  json::object body{{"name", request.name}, {"limits", json::parse(limits_text(*limits))}};
  // Not as temporaries: GCC 12 destroys aggregates made in an awaited expression twice.
  put_plan command{{request.name, std::move(*limits)}};
  admin_answer answer{.body = json::serialize(body)};
  co_return co_await change(context, std::move(command), std::move(answer));
}

// DELETE /v1/admin/plans/{name}: 204; 400 for one that keys use or that the configuration has.
awaitable<admin_answer> delete_one_plan(admin_context& context, admin_request& request) {
  return change(context, delete_plan{request.name}, {.status = 204});
}

constexpr admin_name_check plan_name{is_name,
                                     "A plan's name is letters, digits, '.', '_' and '-', at "
                                     "most 64, the first a letter or digit."};

constexpr admin_route routes_of_accounts[] = {
    {http::verb::get, "/v1/admin/keys", get_keys, {.answer_bytes = page_answer_bytes}},
    {http::verb::post, "/v1/admin/keys", post_key, {.max_body_bytes = rules_body_bytes}},
    {http::verb::delete_, "/v1/admin/keys/{id}", delete_key, {.max_body_bytes = small_body_bytes}},
    {http::verb::get, "/v1/admin/plans", get_all_plans},
    {http::verb::get, "/v1/admin/plans/{name}", get_plan, {.name = &plan_name}},
    {http::verb::put,
     "/v1/admin/plans/{name}",
     put_one_plan,
     {.name = &plan_name, .max_body_bytes = rules_body_bytes}},
    {http::verb::delete_,
     "/v1/admin/plans/{name}",
     delete_one_plan,
     {.name = &plan_name, .max_body_bytes = small_body_bytes}},
};

} // namespace

std::span<const admin_route> accounts_routes() {
  return routes_of_accounts;
}

} // namespace penstock
