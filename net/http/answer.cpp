#include "net/http/answer.hpp"

#include "storage/events/event_id.hpp"

#include <charconv>

namespace penstock {

namespace {

constexpr std::string_view accepted_head =
    "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 34\r\n";
constexpr std::string_view accepted_open = "\r\n{\"id\":\"";
constexpr std::string_view replayed_line = "Idempotent-Replayed: true\r\n";
constexpr std::string_view accepted_close = "\"}";
static_assert(7 + event_id_size + 2 == 34, "Content-Length of a 202");

void append_number(std::string& out, std::uint64_t value) {
  char digits[20];
  auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

void append_connection(std::string& out, const answer_context& ctx) {
  if (!ctx.keep_alive)
    out += "Connection: close\r\n";
  else if (ctx.http_1_0)
    out += "Connection: keep-alive\r\n";
}

} // namespace

void answer_writer::set_time(std::time_t now) {
  if (now == second_) return;
  second_ = now;
  // Not strftime: its names of days follow the locale.
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  gmtime_r(&now, &utc);
  char line[64];
  auto size = std::snprintf(line, sizeof line, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                            days[utc.tm_wday], utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900,
                            utc.tm_hour, utc.tm_min, utc.tm_sec);
  date_line_.assign(line, static_cast<std::size_t>(size));
}

void answer_writer::accepted(std::string& out, const answer_context& ctx,
                             std::string_view id) const {
  out += accepted_head;
  out += date_line_;
  append_connection(out, ctx);
  if (ctx.replayed) out += replayed_line;
  if (ctx.plan) ctx.plan->append(out, ctx.state);
  out += accepted_open;
  out += id;
  out += accepted_close;
}

void answer_writer::begin(std::string& out, const answer_context& ctx, unsigned status) const {
  out += "HTTP/1.1 ";
  append_number(out, status);
  out += ' ';
  out += status_phrase(status);
  out += "\r\n";
  out += date_line_;
  append_connection(out, ctx);
  if (ctx.replayed) out += replayed_line;
  if (ctx.plan) ctx.plan->append(out, ctx.state);
}

void answer_writer::finish(std::string& out, const answer_context& ctx,
                           std::string_view content_type, std::string_view body) const {
  out += "Content-Type: ";
  out += content_type;
  out += "\r\nContent-Length: ";
  append_number(out, body.size());
  out += "\r\n\r\n";
  if (!ctx.head_only) out += body;
}

void answer_writer::json(std::string& out, const answer_context& ctx, unsigned status,
                         std::string_view body) const {
  begin(out, ctx, status);
  finish(out, ctx, "application/json", body);
}

void answer_writer::plain(std::string& out, const answer_context& ctx, unsigned status,
                          std::string_view body) const {
  begin(out, ctx, status);
  finish(out, ctx, "text/plain; charset=utf-8", body);
}

void answer_writer::error(std::string& out, const answer_context& ctx, const problem& what,
                          std::uint32_t retry_after_s, std::string_view allow) const {
  begin(out, ctx, what.status);
  if (retry_after_s > 0) {
    out += "Retry-After: ";
    append_number(out, retry_after_s);
    out += "\r\n";
  }
  if (what.status == 401) out += "WWW-Authenticate: Bearer\r\n";
  if (!allow.empty()) {
    out += "Allow: ";
    out += allow;
    out += "\r\n";
  }
  finish(out, ctx, problem_content_type, to_json(what));
}

void answer_writer::refused(std::string& out, const answer_context& ctx) const {
  out += "HTTP/1.1 429 Too Many Requests\r\n";
  out += date_line_;
  append_connection(out, ctx);
  ctx.plan->append(out, ctx.state);
  out += "Retry-After: ";
  append_number(out, ctx.state.reset_s);
  out += "\r\n";
  finish(out, ctx, problem_content_type, ctx.plan->refusal_body(ctx.state.limit));
}

} // namespace penstock
