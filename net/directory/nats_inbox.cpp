#include "net/directory/nats_inbox.hpp"

namespace penstock {

/// What the library holds for a subscription, until it says that it calls back no more.
struct nats_inbox::callback {
  std::shared_ptr<nats_inbox> inbox;
  std::size_t index;

  static void take(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
    auto& self = *static_cast<callback*>(closure);
    nats_ptr<natsMsg> owned{message};
    const std::lock_guard lock{self.inbox->mutex_};
    self.inbox->items_.push_back({self.index, std::move(owned)});
    self.inbox->changed_.notify_one();
  }
  static void end(void* closure) {
    const std::unique_ptr<callback> self{static_cast<callback*>(closure)};
    const std::lock_guard lock{self->inbox->mutex_};
    self->inbox->ended_ = true;
    self->inbox->changed_.notify_one();
  }
};

natsStatus nats_inbox::subscribe(const std::shared_ptr<nats_inbox>& inbox,
                                 natsConnection* connection, const std::string& subject,
                                 std::size_t index, nats_ptr<natsSubscription>& made) {
  auto closure = std::make_unique<callback>(callback{inbox, index});
  natsSubscription* subscribed = nullptr;
  auto status = natsConnection_Subscribe(&subscribed, connection, subject.c_str(), callback::take,
                                         closure.get());
  made.reset(subscribed);
  if (status != NATS_OK) return status;
  status = natsSubscription_SetOnCompleteCB(subscribed, callback::end, closure.get());
  static_cast<void>(closure.release()); // end() has it now
  if (status == NATS_OK) status = natsSubscription_SetPendingLimits(subscribed, -1, -1);
  return status;
}

std::optional<nats_inbox::item> nats_inbox::next(std::chrono::milliseconds timeout) {
  std::unique_lock lock{mutex_};
  changed_.wait_for(lock, timeout, [this] { return !items_.empty() || woken_ || ended_; });
  woken_ = false;
  if (items_.empty()) return std::nullopt;
  std::optional<item> out{std::move(items_.front())};
  items_.pop_front();
  return out;
}

void nats_inbox::wake() {
  const std::lock_guard lock{mutex_};
  woken_ = true;
  changed_.notify_one();
}

bool nats_inbox::ended() {
  const std::lock_guard lock{mutex_};
  return ended_ && items_.empty();
}

} // namespace penstock
