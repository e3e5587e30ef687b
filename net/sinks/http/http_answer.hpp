// What a server's answer to a POST of several events says of each.
#pragma once

#include "net/sinks/http/curl_request.hpp"
#include "net/sinks/request_outcome.hpp"

namespace penstock {

/// Any 2xx takes all events, unless its body is Penstock's own answer to a batch, which tells of
/// each; so may an error's, a problem document. 400, 413, 415, 422: refused, as what is sent is at
/// fault. Any other status: failed, as nothing is wrong with the events; 404 and 410 as the path is
/// missing, 403, 405 and 507 as that path does not take them.
request_outcome read_http_answer(const curl_answer& answer, std::size_t events);

} // namespace penstock
