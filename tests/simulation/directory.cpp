#include "tests/simulation/directory.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace penstock::simulation {

namespace {

// A store that is out of reach says so after its client's patience.
constexpr std::int64_t silence_ns = 2 * second;

std::string names_in(const cluster_view& view) {
  std::string out;
  for (const auto& each : view.members)
    out += each.incarnation + (each.leaving ? "- " : " ");
  return out;
}

} // namespace

void directory_store::carry_out(int node, const directory_request& request,
                                std::function<void(directory_done)> done, const tell& to) {
  directory_done failed;
  failed.what = request.what;
  failed.sent_ns = request.sent_ns;
  failed.why = {errc::unavailable, "the store is away"};
  when_.after(random_.between(100'000, 3 * ms), [=, this] {
    if (!reaches(node)) return when_.after(silence_ns, [=] { done(failed); });
    if (request.what == directory_request::kind::open && !connections_.contains(node)) {
      connections_[node].to = to;
      watch(node);
    }
    const auto outcome = apply(request);
    when_.after(random_.between(100'000, 3 * ms),
                [=, this] { done(reaches(node) ? outcome : failed); });
  });
}

void directory_store::put(int node, const std::vector<directory_record>& records,
                          std::function<void(bool ok)> done) {
  when_.after(random_.between(100'000, 3 * ms), [=, this] {
    if (!reaches(node)) return when_.after(silence_ns, [=] { done(false); });
    for (const auto& each : records) {
      if (each.value.empty())
        records_.erase(each.key);
      else
        records_[each.key] = each.value;
      tell_all({{}, {each}});
    }
    when_.after(random_.between(100'000, 3 * ms), [=, this] { done(reaches(node)); });
  });
}

directory_done directory_store::apply(const directory_request& request) {
  directory_done out;
  out.what = request.what;
  out.sent_ns = request.sent_ns;
  out.ok = true;
  switch (request.what) {
  case directory_request::kind::open:
    break;
  case directory_request::kind::renew:
    spdlog::trace("{:.3f} {} renewed", static_cast<double>(when_.now_ns()) / 1e9,
                  request.self.address);
    members_[request.self.address] = {request.self, ++revision_};
    tell_all({{.member = request.self, .revision = revision_}});
    out.revision = view_revision_;
    break;
  case directory_request::kind::propose:
    // Whoever was not told of the last view is too late, but one may say anew what was lost.
    if (request.revision != view_revision_ && view_revision_ != 0) break;
    spdlog::debug("{:.3f} view {} is stored: {}", static_cast<double>(when_.now_ns()) / 1e9,
                  request.next.epoch, names_in(request.next));
    view_ = request.next;
    view_revision_ = ++revision_;
    tell_all({{.view = view_, .revision = revision_}});
    break;
  case directory_request::kind::forget:
    if (const auto found = members_.find(request.self.address);
        found != members_.end() && found->second.revision == request.revision) {
      members_.erase(found);
      out.revision = request.revision;
      tell_all({{.member_gone = request.self.address}});
    }
    break;
  case directory_request::kind::leave:
    members_.erase(request.self.address);
    tell_all({{.member_gone = request.self.address}});
    break;
  }
  return out;
}

void directory_store::watch(int node) {
  for (const auto& [address, each] : members_)
    tell_one(node, {{.member = each.record, .revision = each.revision}});
  if (view_revision_ != 0) tell_one(node, {{.view = view_, .revision = view_revision_}});
  for (const auto& [key, value] : records_)
    tell_one(node, {{}, {{key, value}}});
  connections_[node].watching = true;
  tell_one(node, {{.watching = true}});
}

void directory_store::tell_all(const store_news& news) {
  for (const auto& [node, each] : connections_)
    if (each.watching) tell_one(node, news);
}

void directory_store::tell_one(int node, store_news news) {
  auto& to = connections_[node];
  to.last_ns = std::max(to.last_ns, when_.now_ns() + random_.between(100'000, 5 * ms));
  when_.at(to.last_ns, [this, node, generation = to.generation, news = std::move(news)] {
    const auto found = connections_.find(node);
    if (found != connections_.end() && found->second.generation == generation)
      found->second.to(news);
  });
}

void directory_store::lose(int node) {
  const auto found = connections_.find(node);
  if (found == connections_.end() || !found->second.watching) return;
  found->second.watching = false;
  ++found->second.generation;
  when_.after(random_.between(ms, 300 * ms), [this, node] {
    const auto lost = connections_.find(node);
    if (lost != connections_.end() && !lost->second.watching) lost->second.to({{.away = true}});
  });
}

void directory_store::go_away(bool wiped) {
  away_ = true;
  for (const auto& [node, each] : connections_)
    lose(node);
  if (!wiped) return;
  members_.clear();
  records_.clear();
  view_ = {};
  view_revision_ = 0;
}

void directory_store::come_back() {
  away_ = false;
  for (const auto& [node, each] : connections_)
    if (!cut_.contains(node))
      when_.after(random_.between(300 * ms, 900 * ms), [this, id = node] {
        if (reaches(id) && connections_.contains(id) && !connections_[id].watching) watch(id);
      });
}

void directory_store::cut(int node) {
  cut_[node] = true;
  lose(node);
}

void directory_store::heal(int node) {
  cut_.erase(node);
  when_.after(random_.between(300 * ms, 900 * ms), [this, node] {
    if (reaches(node) && connections_.contains(node) && !connections_[node].watching) watch(node);
  });
}

} // namespace penstock::simulation
