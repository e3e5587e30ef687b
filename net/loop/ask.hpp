// Asking an actor from a coroutine.
#pragma once

#include "actors/base/compat.hpp"
#include "storage/base/result.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

namespace penstock {

/// Work that the bridge actor does on behalf of a coroutine.
struct ask_job {
  std::function<void(caf::event_based_actor*)> run;
};
using ask_job_ptr = std::shared_ptr<const ask_job>;

/// Sends a message to an actor and resumes the coroutine on the io_context with the reply. A small
/// actor of its own waits for the replies and posts them. The io_context runs on one thread, and
/// outlives this.
class asker {
 public:
  asker(caf::actor_system& sys, boost::asio::io_context& io);
  /// Call after the io_context's thread has ended. Waits until no reply can be posted any more.
  ~asker();
  asker(const asker&) = delete;
  asker& operator=(const asker&) = delete;

  /// Errors: errc::unavailable when the actor is gone or does not answer in time.
  template <class Reply, class Handle, class Request>
  boost::asio::awaitable<result<Reply>> ask(Handle whom, Request request,
                                            std::chrono::milliseconds timeout) {
    const auto waiting = std::make_shared<pending<Reply>>(io_);
    waiting->timer.expires_after(timeout);
    // Only the io_context's thread may own `waiting`, which ends with its timer.
    std::weak_ptr<pending<Reply>> weak = waiting;
    auto done = [&io = io_, weak](std::optional<Reply> reply) {
      boost::asio::post(io, [weak, reply = std::move(reply)]() mutable {
        if (const auto still = weak.lock()) {
          still->reply = std::move(reply);
          still->timer.cancel();
        }
      });
    };
    auto job = std::make_shared<ask_job>();
    job->run = [whom, request = std::move(request), done](caf::event_based_actor* self) {
      self->request(whom, caf::infinite, request)
          .then([done](Reply& reply) { done(std::move(reply)); },
                [done](const caf::error&) { done(std::nullopt); });
    };
    caf::anon_send(bridge_, ask_job_ptr{std::move(job)});
    boost::system::error_code ended;
    co_await waiting->timer.async_wait(
        boost::asio::redirect_error(boost::asio::use_awaitable, ended));
    if (waiting->reply) co_return std::move(*waiting->reply);
    co_return error{errc::unavailable, "the component that answers this did not answer in time"};
  }

 private:
  template <class Reply>
  struct pending {
    explicit pending(boost::asio::io_context& io) : timer{io} {}
    boost::asio::steady_timer timer;
    std::optional<Reply> reply;
  };

  boost::asio::io_context& io_;
  caf::actor_system& sys_;
  caf::actor bridge_;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::ask_job_ptr)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_ask, caf::first_custom_type_id + 110)
CAF_ADD_TYPE_ID(penstock_ask, (penstock::ask_job_ptr))
CAF_END_TYPE_ID_BLOCK(penstock_ask)
