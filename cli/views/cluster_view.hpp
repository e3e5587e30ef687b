// The cluster of a node's status as people read it. Pure.
#pragma once

#include <boost/json/object.hpp>

#include <string>

namespace penstock {

/// A few words and a table of members, after an empty line; "" for a node on its own, and for one
/// of a version that told of no members. Throws when it has another shape.
std::string cluster_text(const boost::json::object& cluster);

} // namespace penstock
