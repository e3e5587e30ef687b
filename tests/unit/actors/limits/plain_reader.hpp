// A journal that is only read from the beginning to the end.
#pragma once

#include "storage/journal/journal_reader.hpp"

namespace penstock {

struct plain_reader : journal_reader {
  result<std::vector<std::shared_ptr<const event_block>>>
  read_wanted(const std::function<bool(const std::string&)>&, std::uint64_t, std::size_t,
              std::size_t, std::vector<std::string>*) override {
    return error{errc::invalid, "nobody asks for it here"};
  }
  result<std::uint64_t> seq_before_time(const std::string&, std::int64_t) override { return 0; }
  result<event_volume> count_backlog(const std::string&, std::uint64_t, std::uint64_t,
                                     const backlog_events&) override {
    return event_volume{};
  }
  result<std::uint64_t> count_between(const std::string&, std::uint64_t, std::uint64_t) override {
    return std::uint64_t{0};
  }
  void release() override {}
};

} // namespace penstock
