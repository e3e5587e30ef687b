// What the code relies on, looked at in every build, also in release.
#pragma once

namespace penstock {

/// What PENSTOCK_ASSERT calls: writes a line to stderr that says what broke and where, lets the
/// listener finish its own lines, and ends the process with exit code 70, so that a supervisor
/// starts it again from what is durable. Any thread.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

/// Who is told, on the thread that failed, before the process ends; the program's log. Set once,
/// before threads are started. It must not throw, nor return to the work that it interrupted.
using assertion_listener = void (*)(const char* sentence);
void listen_to_assertions(assertion_listener listener);

} // namespace penstock

/// The condition holds whatever comes from outside and whatever is on disk: where it may not, that
/// is an error to be returned and not an assertion. It is evaluated in every build and must cost
/// little: a comparison of what is in registers anyway.
#define PENSTOCK_ASSERT(condition)                                                                 \
  (__builtin_expect(static_cast<bool>(condition), 1)                                               \
       ? static_cast<void>(0)                                                                      \
       : ::penstock::assertion_failed(#condition, __FILE_NAME__, __LINE__))
