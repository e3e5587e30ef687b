// Whether the client of a request that waits is still there.
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <functional>

namespace penstock {

/// Looks out for the end of a connection whose request waits for its answer.
struct client_watch {
  std::function<void()> gone;
  bool over = false;

  /// Called when there is something to read; what that is stays there.
  void look(int socket) {
    char byte = 0;
    const auto got = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    const bool none_yet = got < 0 && (errno == EAGAIN || errno == EINTR);
    if (got <= 0 && !none_yet && gone && !over) gone();
  }
};

} // namespace penstock
