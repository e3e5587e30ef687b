#include "storage/base/told.hpp"

#include "storage/base/files.hpp"

namespace penstock {

std::string told_to_clients(const error& why) {
  switch (why.code) {
  case errc::invalid:
  case errc::not_found:
  case errc::unavailable:
    if (is_system_error(why)) break;
    return why.message;
  case errc::journal_full:
    return "The journal has reached journal.max_size.";
  case errc::disk_full:
    if (why.message.starts_with(dead_letters_full)) return why.message;
    return "The disk that holds the node's data is full.";
  case errc::corrupt:
    return "Data of the node is damaged; its log says which.";
  case errc::io:
  case errc::newer:
  case errc::locked:
  case errc::config:
    break;
  }
  return "The node can't use its files; its log says why.";
}

} // namespace penstock
