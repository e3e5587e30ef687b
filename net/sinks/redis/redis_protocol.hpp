// Redis's protocol: commands as bytes, and replies. Pure.
#pragma once

#include "storage/base/result.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;

namespace penstock {

struct redis_reply {
  enum class kind { status, error, integer, text, nil, array };
  kind is = kind::nil;
  std::string text{}; ///< of a status, an error, a text
  long long number = 0;
  std::vector<redis_reply> elements{};

  bool is_error() const { return is == kind::error; }
};

/// The most words in a command that we send.
inline constexpr std::size_t max_redis_words = 16;

/// Appends one command; its words may hold any bytes, and there are at most max_redis_words.
void append_redis_command(std::string& out, std::span<const std::string_view> words);
inline void append_redis_command(std::string& out, std::initializer_list<std::string_view> words) {
  append_redis_command(out, std::span{words.begin(), words.size()});
}

/// Takes bytes as they come and gives whole replies.
class redis_reader {
 public:
  redis_reader();
  void feed(std::string_view bytes);
  /// The next reply, or nothing until more is fed. Errors: invalid, what came is no reply.
  result<std::optional<redis_reply>> next();

 private:
  struct freed {
    void operator()(redisReader* reader) const;
  };
  std::unique_ptr<redisReader, freed> reader_;
};

/// What to do about an error that Redis answered, by its first word; "" when nothing is known.
std::string_view redis_advice(std::string_view error);

} // namespace penstock
