// The extensions on a chunk's line, held to RFC 9112, section 7.1.1.
#pragma once

#include <cstdint>
#include <string_view>

namespace penstock {

/// Takes what stands between a chunk's size and the end of its line, byte by byte:
/// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`. No control byte but a tab
/// between quotes passes: a proxy that takes a bare LF for the end of the line would see another
/// request in what we take for an extension. Beast's own parser lets any byte stand in quotes.
class chunk_extension_scanner {
 public:
  /// False when `c` can't stand here; the scanner is of no use after that.
  bool put(char c);
  /// Whether the line may end here.
  bool may_end() const;

 private:
  enum class place : std::uint8_t {
    start, ///< right after the size or a quoted value
    space, ///< white space, which only ';' may follow
    before_name,
    name,
    after_name,
    before_value,
    value,
    quoted,
    escaped
  };
  bool put_between(char c);

  place at_ = place::start;
};

/// The whole of what stands between a chunk's size and the end of its line; "" is fine.
bool is_chunk_extension(std::string_view text);

} // namespace penstock
