// Errors are values that carry what the user needs to act.
#pragma once

#include <boost/system/result.hpp>

#include <cstdint>
#include <ostream>
#include <string>

namespace penstock {

/// Why an operation failed; `net/base/problem.cpp` holds the one table that maps these to HTTP.
enum class errc : std::uint8_t {
  invalid,      ///< the caller's input breaks a rule
  not_found,    ///< the named thing does not exist
  journal_full, ///< the journal's configured cap on bytes is reached
  disk_full,    ///< the file system has no room
  io,           ///< the file system or SQLite failed
  corrupt,      ///< stored data is damaged
  newer,        ///< stored data is of a newer version of this program
  locked,       ///< another process uses the same directory
  config,       ///< a configuration value is wrong
  unavailable,  ///< a service that is needed can't be reached now
};

/// What failed and why, in words that name the thing and, where there is one, the fix.
struct error {
  errc code = errc::invalid;
  std::string message;
};

/// For logs and failed checks of tests.
inline std::ostream& operator<<(std::ostream& out, const error& what) {
  return out << what.message;
}

template <class T>
using result = boost::system::result<T, error>;

/// Called by result<T>::value() on an error; code that can fail checks before it calls value().
[[noreturn]] void throw_exception_from_error(const error& err, const boost::source_location& loc);

} // namespace penstock
