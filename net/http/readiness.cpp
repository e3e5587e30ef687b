#include "net/http/readiness.hpp"

namespace penstock {

namespace {

// What keeps the node out of its cluster; "": nothing.
std::string_view text_of(const readiness& of) {
  switch (of.standing) {
  case cluster_standing::no_directory:
    return "waits for the directory";
  case cluster_standing::not_let_in:
    return "not let in yet";
  case cluster_standing::full:
    return "not let in: it has as many members as it may";
  case cluster_standing::other_secret:
    return "not let in: its members have another cluster.secret";
  case cluster_standing::other_clock:
    return "not let in: this node's clock is too far from its members'";
  case cluster_standing::without_shards:
    return "waits for the counters of its shards";
  case cluster_standing::in:
    break;
  }
  return of.refused ? "refused by its peers; the log says why" : "";
}

} // namespace

readiness readiness_of(const node_state& node) {
  readiness r;
  r.draining = node.draining.load(std::memory_order_relaxed);
  r.full = node.journal_full.load(std::memory_order_relaxed);
  r.scarce = node.journal_scarce.load(std::memory_order_relaxed);
  r.failed = node.journal_failed.load(std::memory_order_relaxed);
  r.refused = node.is_refused && node.is_refused->load(std::memory_order_relaxed);
  r.standing = node.standing.load(std::memory_order_relaxed);
  r.ready = node.ready.load(std::memory_order_relaxed) && !r.draining && !r.full && !r.failed &&
            !r.refused && r.standing == cluster_standing::in;
  return r;
}

std::string readiness_text(const readiness& of, bool ok, std::string_view query) {
  std::string text = ok ? "ok\n" : "not ready\n";
  if (query.find("verbose") == std::string_view::npos) return text;
  text += of.draining ? "draining: yes\n" : "draining: no\n";
  text += of.failed   ? "journal: failed\n"
          : of.full   ? "journal: full\n"
          : of.scarce ? "journal: scarce\n"
                      : "journal: ok\n";
  if (const auto cluster = text_of(of); !cluster.empty())
    text += "cluster: " + std::string{cluster} + '\n';
  return text;
}

} // namespace penstock
