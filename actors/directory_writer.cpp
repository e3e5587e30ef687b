#include "actors/directory_writer.hpp"

#include "actors/fail_fast.hpp"

namespace penstock {

namespace {

directory::listener listener_for(const caf::actor& told) {
  directory::listener to;
  to.member = [told](member_record record) {
    directory_news news;
    news.member = std::move(record);
    caf::anon_send(told, std::move(news));
  };
  to.member_gone = [told](std::string address) {
    directory_news news;
    news.member_gone = std::move(address);
    caf::anon_send(told, std::move(news));
  };
  to.view = [told](cluster_view view, std::uint64_t revision) {
    directory_news news;
    news.view = std::move(view);
    news.revision = revision;
    caf::anon_send(told, std::move(news));
  };
  to.watching = [told] {
    directory_news news;
    news.watching = true;
    caf::anon_send(told, std::move(news));
  };
  to.record = [](std::string, std::string) {};
  return to;
}

result<void> carry_out(directory& store, const directory_wish& wish, const caf::actor& told,
                       directory_done& out) {
  switch (wish.what) {
  case directory_wish::kind::open:
    return store.open(listener_for(told));
  case directory_wish::kind::renew: {
    const auto revision = store.renew(wish.self);
    if (!revision) return revision.error();
    out.revision = *revision;
    return {};
  }
  case directory_wish::kind::leave:
    return store.leave(wish.self.address);
  case directory_wish::kind::propose: {
    // That another was quicker is no failure: its view comes.
    const auto stored = store.propose(wish.next, wish.revision);
    if (!stored) return stored.error();
    return {};
  }
  }
  return {};
}

} // namespace

caf::behavior directory_writer(caf::event_based_actor* self, std::shared_ptr<directory> store,
                               caf::actor told) {
  end_process_on_exception(self);
  return {
      [store, told](const directory_wish& wish) {
        directory_done out;
        out.what = wish.what;
        out.sent_ns = wish.sent_ns;
        const auto done = carry_out(*store, wish, told, out);
        out.ok = static_cast<bool>(done);
        if (!done) out.why = done.error();
        return out;
      },
      [self](drain) { self->quit(); },
  };
}

} // namespace penstock
