// The idempotency keys of events that another node holds, on their way there.
#pragma once

#include "actors/idempotency/claim_messages.hpp"
#include "actors/replication/replica_messages.hpp"
#include "storage/base/result.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// As a batch has them. Pure.
std::vector<row_key> keys_of(const std::vector<wire_block>& rows);

/// The rows of a batch with their keys. Errors: corrupt where a row contradicts itself, or a key is
/// not of its row. Pure.
result<std::vector<const_block_ptr>> rows_with_keys(const replica_batch& batch);

/// What the indexes of this node are told of rows of the journal with that tag: one message, for
/// the keys of all `lanes` indexes one each, or more where a message is full. Pure.
std::vector<std::vector<key_rows>> told_to_indexes(const std::string& tag,
                                                   const std::vector<const_block_ptr>& rows,
                                                   std::size_t lanes);

} // namespace penstock
