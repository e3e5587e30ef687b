// Writes the ingest plane's answers straight into a session's output.
#pragma once

#include "net/base/problem.hpp"
#include "net/http/plan_headers.hpp"

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace penstock {

/// What every answer of one exchange shares.
struct answer_context {
  bool keep_alive = true;
  bool http_1_0 = false;              ///< such a client must be told that the connection stays open
  bool head_only = false;             ///< answer to HEAD: no body
  bool replayed = false;              ///< what an earlier request with the same key was told
  const plan_headers* plan = nullptr; ///< null: the client was not identified
  verdict state{};
};

/// One a front end; keeps the Date line of the current second. Not synchronised.
class answer_writer {
 public:
  void set_time(std::time_t now);

  /// 202 {"id":"…"}.
  void accepted(std::string& out, const answer_context& ctx, std::string_view id) const;
  /// Any JSON answer.
  void json(std::string& out, const answer_context& ctx, unsigned status,
            std::string_view body) const;
  void plain(std::string& out, const answer_context& ctx, unsigned status,
             std::string_view body) const;
  /// application/problem+json; `retry_after_s` 0 leaves Retry-After out; `allow` for a 405.
  void error(std::string& out, const answer_context& ctx, const problem& what,
             std::uint32_t retry_after_s = 0, std::string_view allow = {}) const;
  /// 429, from what was written once a plan.
  void refused(std::string& out, const answer_context& ctx) const;

 private:
  void begin(std::string& out, const answer_context& ctx, unsigned status) const;
  void finish(std::string& out, const answer_context& ctx, std::string_view content_type,
              std::string_view body) const;

  std::time_t second_ = 0;
  std::string date_line_;
};

} // namespace penstock
