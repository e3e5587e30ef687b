#include "storage/base/result.hpp"

#include <boost/throw_exception.hpp>

#include <stdexcept>

namespace penstock {

void throw_exception_from_error(const error& err, const boost::source_location& loc) {
  boost::throw_with_location(std::runtime_error(err.message), loc);
}

} // namespace penstock
