#include "cli/node/logging.hpp"

#include "storage/base/assert.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>

namespace penstock {
namespace {

std::string rfc3339(spdlog::log_clock::time_point time) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(ms);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(spdlog::log_clock::to_time_t(seconds)), (ms - seconds).count());
}

std::string_view name_of(spdlog::level::level_enum level) {
  switch (level) {
  case spdlog::level::trace:
    return "trace";
  case spdlog::level::debug:
    return "debug";
  case spdlog::level::info:
    return "info";
  case spdlog::level::warn:
    return "warn";
  case spdlog::level::off:
    return "off";
  case spdlog::level::err:
  default:
    return "error";
  }
}

spdlog::level::level_enum level_of(std::string_view name) {
  for (const auto level : {spdlog::level::trace, spdlog::level::debug, spdlog::level::warn,
                           spdlog::level::err, spdlog::level::off})
    if (name_of(level) == name) return level;
  return spdlog::level::info;
}

// Length of the UTF-8 sequence that `text` begins with; 0 when it begins with none (RFC 3629).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const auto first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const auto low = first == 0xE0 ? 0xA0u : 0x80u;
    const auto high = first == 0xED ? 0x9Fu : 0xBFu; // beyond lie surrogates
    return byte(1) >= low && byte(1) <= high && tail(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const auto low = first == 0xF0 ? 0x90u : 0x80u;
    const auto high = first == 0xF4 ? 0x8Fu : 0xBFu;
    return byte(1) >= low && byte(1) <= high && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

std::string text_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string_view view(const spdlog::string_view_t& text) {
  return {text.data(), text.size()};
}

class text_formatter final : public spdlog::formatter {
 public:
  explicit text_formatter(std::string node) : node_(std::move(node)) {}
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    fmt::format_to(std::back_inserter(out), "{} {:<5} {} {}\n", rfc3339(message.time),
                   name_of(message.level), node_, text_escape(view(message.payload)));
  }
  std::unique_ptr<formatter> clone() const override {
    return std::make_unique<text_formatter>(node_);
  }

 private:
  const std::string node_;
};

class json_formatter final : public spdlog::formatter {
 public:
  explicit json_formatter(std::string node) : node_(std::move(node)) {}
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    fmt::format_to(std::back_inserter(out),
                   "{{\"time\":\"{}\",\"level\":\"{}\",\"node\":\"{}\",\"message\":\"{}\"}}\n",
                   rfc3339(message.time), name_of(message.level), json_escape(node_),
                   json_escape(view(message.payload)));
  }
  std::unique_ptr<formatter> clone() const override {
    return std::make_unique<json_formatter>(node_);
  }

 private:
  const std::string node_;
};

} // namespace

std::string json_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto length = utf8_length(text);
    const auto byte = static_cast<unsigned char>(text.front());
    if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text.front();
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::unique_ptr<spdlog::formatter> make_log_formatter(const std::string& format,
                                                      const std::string& node_name) {
  if (format == "json") return std::make_unique<json_formatter>(node_name);
  return std::make_unique<text_formatter>(node_name);
}

void start_logging(const log_settings& settings, const std::string& node_name) {
  spdlog::init_thread_pool(max_log_queue, 1);
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger =
      std::make_shared<spdlog::async_logger>("penstock", std::move(sink), spdlog::thread_pool(),
                                             spdlog::async_overflow_policy::overrun_oldest);
  logger->set_formatter(make_log_formatter(settings.format, node_name));
  logger->set_level(level_of(settings.level));
  spdlog::set_default_logger(std::move(logger));
  // The lines that led there are written before the process ends.
  listen_to_assertions([](const char* sentence) {
    spdlog::critical("{}", sentence);
    spdlog::shutdown();
  });
}

void set_log_level(const std::string& level) {
  spdlog::default_logger_raw()->set_level(level_of(level));
}

std::uint64_t dropped_log_messages() {
  const auto pool = spdlog::thread_pool();
  return pool ? pool->overrun_counter() : 0;
}

void stop_logging() {
  spdlog::shutdown();
}

} // namespace penstock
