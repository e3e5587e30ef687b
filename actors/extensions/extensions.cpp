#include "actors/extensions/extensions.hpp"

namespace penstock {

// Declared by the list itself, so that this file includes no room.
#define PENSTOCK_EXTENSION(name) extension name##_extension();
#include "actors/extensions/extensions.inc"
#undef PENSTOCK_EXTENSION

const std::vector<extension>& extensions() {
  static const std::vector<extension> all{
#define PENSTOCK_EXTENSION(name) name##_extension(),
#include "actors/extensions/extensions.inc"
#undef PENSTOCK_EXTENSION
  };
  return all;
}

} // namespace penstock
