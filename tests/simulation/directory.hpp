// The store that simulated nodes share, and each one's connection to it.
#pragma once

#include "actors/directory/directory_messages.hpp"
#include "tests/simulation/events.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace penstock::simulation {

/// What the store tells a node: of members and views, or of keys and plans.
struct store_news {
  directory_update update{};
  std::vector<directory_record> records{}; ///< none: the other
};

/// Not synchronised.
class directory_store {
 public:
  using tell = std::function<void(const store_news&)>;

  directory_store(events& when, chance& random) : when_(when), random_(random) {}

  /// The node's writer asks: `done` is called later, or the store is away.
  void carry_out(int node, const directory_request& request,
                 std::function<void(directory_done)> done, const tell& to);
  /// Likewise of a node that has opened the store.
  void put(int node, const std::vector<directory_record>& records,
           std::function<void(bool ok)> done);
  /// The node is gone: it is told nothing any more.
  void forget(int node) { connections_.erase(node); }

  /// No node reaches the store, or this one does not.
  void go_away(bool wiped);
  void come_back();
  void cut(int node);
  void heal(int node);

  const cluster_view& view() const { return view_; }

 private:
  struct connection {
    tell to;
    bool watching = false;
    std::int64_t last_ns = 0; // what is told keeps its order
    std::uint64_t generation = 0;
  };
  struct stored {
    member_record record;
    std::uint64_t revision = 0;
  };

  directory_done apply(const directory_request& request);
  bool reaches(int node) const { return !away_ && !cut_.contains(node); }
  void tell_all(const store_news& news);
  void tell_one(int node, store_news news);
  void watch(int node);
  void lose(int node);

  events& when_;
  chance& random_;
  bool away_ = false;
  std::map<int, bool> cut_;
  std::map<int, connection> connections_;
  std::map<std::string, stored> members_;
  std::map<std::string, std::string> records_; // keys and plans
  cluster_view view_;
  std::uint64_t revision_ = 0, view_revision_ = 0;
};

} // namespace penstock::simulation
