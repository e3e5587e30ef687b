#include "actors/directory/directory_writer.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/directory/directory_messages.hpp"

#include <spdlog/spdlog.h>

namespace penstock {

namespace {

directory::listener listener_for(const membership_handle& told, const accounts_handle& accounts) {
  directory::listener to;
  to.member = [told](member_record record, std::uint64_t revision) {
    directory_update update;
    update.member = std::move(record);
    update.revision = revision;
    caf::anon_send(told, std::move(update));
  };
  to.member_gone = [told](std::string address) {
    directory_update update;
    update.member_gone = std::move(address);
    caf::anon_send(told, std::move(update));
  };
  to.view = [told](cluster_view view, std::uint64_t revision) {
    directory_update update;
    update.view = std::move(view);
    update.revision = revision;
    caf::anon_send(told, std::move(update));
  };
  to.watching = [told, accounts] {
    directory_update update;
    update.watching = true;
    caf::anon_send(told, std::move(update));
    caf::anon_send(accounts, records_watched{});
  };
  to.away = [told, accounts] {
    directory_update update;
    update.away = true;
    caf::anon_send(told, std::move(update));
    caf::anon_send(accounts, records_away{});
  };
  to.record = [accounts](std::string key, std::string value) {
    records_told update;
    update.records.push_back({std::move(key), std::move(value)});
    caf::anon_send(accounts, std::move(update));
  };
  return to;
}

result<void> carry_out(directory& store, const directory_request& request,
                       const directory_writer_state& to, directory_done& out) {
  switch (request.what) {
  case directory_request::kind::open:
    return store.open(listener_for(to.told.membership, to.told.accounts));
  case directory_request::kind::renew: {
    const auto revision = store.renew(request.self);
    if (!revision) return revision.error();
    out.revision = *revision;
    return {};
  }
  case directory_request::kind::leave:
    return store.leave(request.self.address);
  case directory_request::kind::forget: {
    const auto done = store.forget(request.self.address, request.revision);
    if (!done) return done.error();
    out.revision = *done ? request.revision : 0;
    return {};
  }
  case directory_request::kind::propose: {
    // That another was quicker is no failure: its view comes.
    const auto stored = store.propose(request.next, request.revision);
    if (!stored) return stored.error();
    return {};
  }
  }
  return {};
}

// What can't be put ever is left out; the accounts actor is not to wait for it.
records_put put_all(directory& store, const records_changed& request) {
  for (const auto& record : request.records) {
    const auto done = store.put_record(record.key, record.value);
    if (!done && done.error().code == errc::unavailable) return {false};
    if (!done) spdlog::error("directory: {} can't be put: {}", record.key, done.error().message);
  }
  return {true};
}

} // namespace

directory_writer_handle::behavior_type
directory_writer(directory_writer_handle::stateful_pointer<directory_writer_state> self,
                 std::shared_ptr<directory> store) {
  end_process_on_exception(self);
  return {
      [self](const directory_listeners& told) { self->state.told = told; },
      [self, store](const directory_request& request) {
        directory_done out;
        out.what = request.what;
        out.sent_ns = request.sent_ns;
        const auto done = carry_out(*store, request, self->state, out);
        out.ok = static_cast<bool>(done);
        if (!done) out.why = done.error();
        return out;
      },
      [store](const records_changed& request) { return put_all(*store, request); },
      [self](drain) { self->quit(); },
  };
}

} // namespace penstock
