// One front end's view of the streams that its node serves.
#pragma once

#include "actors/streams/stream_names.hpp"
#include "net/ingest/ingest_messages.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace penstock {

/// In front of the node's table, so that a name which the lane has met costs one comparison or one
/// look-up. Used by one thread.
class served_streams {
 public:
  /// Names that a lane remembers; then it begins anew.
  static constexpr std::size_t max_remembered = 4 * max_stream_names;

  explicit served_streams(std::shared_ptr<stream_names> names) : names_(std::move(names)) {}

  /// Whether an event of this name may be taken: see stream_names::find_or_reserve(). `holder` is
  /// called for a name that is new to the lane, and gives whose share it takes from.
  template <class Holder>
  stream_names::answer admit(std::string_view name, const ingest_rules& rules, Holder holder) {
    if (is_remembered(name)) return {stream_names::outcome::known, last_place_};
    const auto hash = names_->hash_of(name);
    if (rules.streams.find(name) != rules.streams.end()) {
      remember(name, hash, stream_names::no_place);
      return {stream_names::outcome::known, stream_names::no_place};
    }
    const auto got = names_->find_or_reserve(hash, holder());
    if (got.what == stream_names::outcome::known) remember(name, hash, got.place);
    return got;
  }

  /// An event of the name was taken.
  void use(std::string_view name) {
    if (is_remembered(name) && last_place_ != stream_names::no_place) names_->use(last_place_);
  }

  void keep(std::uint32_t place) { names_->keep(place); }
  void release(std::uint32_t place) { names_->release(place); }

  /// Other streams are configured.
  void forget() {
    last_.clear();
    places_.clear();
  }

 private:
  bool is_remembered(std::string_view name) {
    if (name == last_ && lives(last_place_, last_hash_)) return true;
    const auto hash = names_->hash_of(name);
    const auto found = places_.find(hash);
    if (found == places_.end()) return false;
    if (!lives(found->second, hash)) {
      places_.erase(found);
      return false;
    }
    set_last(name, hash, found->second);
    return true;
  }
  bool lives(std::uint32_t place, std::uint64_t hash) const {
    return place == stream_names::no_place || names_->holds(place, hash);
  }
  void remember(std::string_view name, std::uint64_t hash, std::uint32_t place) {
    if (places_.size() >= max_remembered) places_.clear();
    places_[hash] = place;
    set_last(name, hash, place);
  }
  void set_last(std::string_view name, std::uint64_t hash, std::uint32_t place) {
    last_ = name;
    last_hash_ = hash;
    last_place_ = place;
  }

  std::shared_ptr<stream_names> names_;
  std::string last_; // never "" for a name, which has a character
  std::uint64_t last_hash_ = 0;
  std::uint32_t last_place_ = stream_names::no_place;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> places_; // by hash; no_place: configured
};

} // namespace penstock
