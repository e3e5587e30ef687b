#include "net/http/readiness.hpp"

namespace penstock {

readiness readiness_of(const node_state& node) {
  readiness r;
  r.draining = node.draining.load(std::memory_order_relaxed);
  r.full = node.journal_full.load(std::memory_order_relaxed);
  r.scarce = node.journal_scarce.load(std::memory_order_relaxed);
  r.failed = node.journal_failed.load(std::memory_order_relaxed);
  r.ready = node.ready.load(std::memory_order_relaxed) && !r.draining && !r.full && !r.failed;
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
  return text;
}

} // namespace penstock
