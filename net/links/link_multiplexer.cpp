#include "net/links/link_multiplexer.hpp"

#include "net/links/link_connection.hpp"
#include "net/links/peers_broker.hpp"

#include <caf/io/datagram_servant.hpp>
#include <caf/io/middleman.hpp>

#include <limits>
#include <utility>

namespace penstock {
namespace {

caf::error made_elsewhere() {
  return caf::make_error(caf::sec::bad_function_call);
}

} // namespace

link_multiplexer::link_multiplexer(caf::actor_system* system)
    : multiplexer(system), loop_(*system, "http-0") {
  loop_.add_client(this);
}

link_multiplexer::~link_multiplexer() = default;

link_multiplexer& link_multiplexer::of(caf::actor_system& system) {
  return dynamic_cast<link_multiplexer&>(system.middleman().backend());
}

void link_multiplexer::attend(link_connection& connection) {
  attended_.emplace_back(&connection);
}

void link_multiplexer::end_turn() {
  for (auto& each : std::exchange(attended_, {}))
    each->end_turn();
  // A broker hears by mail that a connection is gone, and knows it by its descriptor: that mail
  // must come before a new connection with the same one.
  closed_before_ = std::exchange(closed_, {});
}

bool link_multiplexer::count_unsent(std::size_t before, std::size_t now) {
  const auto all = unsent_bytes() - before + now;
  unsent_bytes_.store(all, std::memory_order_relaxed);
  return now == 0 || (all <= unsent_bytes_limit_ && now <= unsent_bytes_limit_ - all);
}

// -- caf::io::network::multiplexer ----------------------------------------------------------------

void link_multiplexer::exec_later(caf::resumable* job) {
  if (job->subtype() != caf::resumable::function_object) return loop_.exec_later(job);
  loop_.post([this, owned = caf::intrusive_ptr<caf::resumable>{job, false}] {
    owned->resume(&loop_, std::numeric_limits<std::size_t>::max());
  });
}

// The loop runs until this is gone, and what was posted before. Here the middleman starts, before
// it makes a broker of its own.
caf::io::network::multiplexer::supervisor_ptr link_multiplexer::make_supervisor() {
  (void)broker_of_peers(system());
  struct ending final : supervisor {
    explicit ending(event_loop& of) : loop(of) {}
    ~ending() override {
      loop.post([to = &loop] { to->stop(); });
    }
    event_loop& loop;
  };
  return std::make_unique<ending>(loop_);
}

bool link_multiplexer::try_run_once() {
  loop_.turn(0);
  return false;
}

void link_multiplexer::run_once() {
  loop_.turn(static_cast<int>(event_loop::tick_ms));
}

caf::expected<caf::io::scribe_ptr> link_multiplexer::new_tcp_scribe(const std::string&,
                                                                    std::uint16_t) {
  return made_elsewhere();
}

caf::expected<caf::io::doorman_ptr> link_multiplexer::new_tcp_doorman(std::uint16_t, const char*,
                                                                      bool) {
  return made_elsewhere();
}

caf::io::datagram_servant_ptr
link_multiplexer::new_datagram_servant(caf::io::network::native_socket) {
  return nullptr;
}

caf::io::datagram_servant_ptr
link_multiplexer::new_datagram_servant_for_endpoint(caf::io::network::native_socket,
                                                    const caf::io::network::ip_endpoint&) {
  return nullptr;
}

caf::expected<caf::io::datagram_servant_ptr>
link_multiplexer::new_remote_udp_endpoint(const std::string&, std::uint16_t) {
  return made_elsewhere();
}

caf::expected<caf::io::datagram_servant_ptr>
link_multiplexer::new_local_udp_endpoint(std::uint16_t, const char*, bool) {
  return made_elsewhere();
}

// -- configuration --------------------------------------------------------------------------------

linked_system_config::linked_system_config(std::size_t threads, bool with_links)
    : system_config(threads) {
  if (!with_links) return;
  load<caf::io::middleman, link_multiplexer>();
  set_links();
}

} // namespace penstock
