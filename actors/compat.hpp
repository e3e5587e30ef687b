// Everything that depends on CAF's version, in one place.
#pragma once

#include <caf/config.hpp>

#if CAF_VERSION < 1705
#error "Penstock needs CAF 0.17.5 or newer"
#endif

#include <caf/all.hpp>
