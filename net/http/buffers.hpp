// Buffers of a connection: what they keep when they are empty, and what they give back.
#pragma once

#include <cstddef>
#include <string>

namespace penstock {

/// Buffers that grew beyond this are given back when they are empty.
inline constexpr std::size_t kept_buffer_bytes = 4 << 10;
/// A buffer grows to twice its size; a larger one than this gives back what it does not use.
inline constexpr std::size_t max_loose_bytes = 64 << 10;

inline void release_buffer(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kept_buffer_bytes) std::string{}.swap(buffer);
}

inline void tighten(std::string& buffer) {
  if (buffer.capacity() > max_loose_bytes && buffer.capacity() / 5 * 4 > buffer.size())
    buffer.shrink_to_fit();
}

} // namespace penstock
