#include "cli/client/consumer.hpp"

#include "cli/client/admin_call.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace penstock {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

struct received {
  std::string receipt; ///< empty when read again
  message fields;
};

class consuming {
 public:
  consuming(http_client& client, const consume_options& options, message_budget& budget,
            const std::atomic<bool>& stopping)
      : client_(client), options_(options), budget_(budget), stopping_(stopping),
        from_(options.from) {}

  result<consume_totals> run(const message_handler& handle, const batch_end& finish);

 private:
  bool again() const { return !options_.from.empty(); }
  result<std::vector<received>> receive(std::uint64_t wanted);
  result<std::vector<received>> parse(const std::string& body);
  result<http_response> post(const std::string& target, const json::object& body,
                             std::chrono::milliseconds timeout);
  result<void> tell(std::string_view verb, const std::vector<std::string>& receipts);
  void pause(std::chrono::milliseconds duration) const;

  http_client& client_;
  const consume_options& options_;
  message_budget& budget_;
  const std::atomic<bool>& stopping_;
  std::string from_;    // where to go on reading again
  std::string last_id_; // read already, when reading again
  consume_totals totals_;
};

result<std::vector<received>> consuming::receive(std::uint64_t wanted) {
  // Reading again begins at the last message that was read, so ask for one more.
  const auto max = wanted + (last_id_.empty() ? 0 : 1);
  json::object body{{"max", std::min<std::uint64_t>(max, max_batch_messages)}};
  auto target = "/v1/queue/" + percent_encode(options_.stream) + "/receive";
  if (again()) {
    target += "?from=" + percent_encode(from_);
  } else {
    body["wait_s"] = options_.follow ? options_.wait.count() : 0;
    body["lease_s"] = options_.lease.count();
  }
  const auto response = post(target, body, options_.wait + 30s);
  if (response.has_error()) return response.error();
  if (response->status != 200) return refusal_of(*response);
  return parse(response->body);
}

result<std::vector<received>> consuming::parse(const std::string& body) {
  const error bad{errc::unavailable, "the admin plane's answer is not a list of messages; is this "
                                     "the address of a penstock node?"};
  boost::system::error_code failed;
  const auto document = json::parse(body, failed);
  if (failed || !document.is_object()) return bad;
  const auto* messages = document.get_object().if_contains("messages");
  if (!messages || !messages->is_array()) return bad;
  std::vector<received> batch;
  for (const auto& entry : messages->get_array()) {
    if (!entry.is_object()) return bad;
    received next;
    for (const auto& [key, value] : entry.get_object())
      if (key != "receipt") next.fields[key] = value;
    const auto* receipt = entry.get_object().if_contains("receipt");
    const auto* id = entry.get_object().if_contains("id");
    if (!id || !id->is_string()) return bad;
    if (receipt && receipt->is_string()) next.receipt = std::string{receipt->get_string()};
    if (!again() && next.receipt.empty()) return bad;
    if (again() && id->get_string() == last_id_) continue;
    batch.push_back(std::move(next));
  }
  if (again() && !batch.empty())
    from_ = last_id_ = std::string{batch.back().fields.at("id").get_string()};
  return batch;
}

// A node that has no room at the moment is asked again for a while.
result<http_response> consuming::post(const std::string& target, const json::object& body,
                                      std::chrono::milliseconds timeout) {
  for (const auto until = clock::now() + options_.max_busy;; pause(options_.busy_pause)) {
    auto response = client_.post(target, json::serialize(body), timeout);
    if (response.has_error() || response->status != 503 || stopping_ || clock::now() >= until)
      return response;
  }
}

result<void> consuming::tell(std::string_view verb, const std::vector<std::string>& receipts) {
  if (receipts.empty()) return {};
  json::array list;
  for (const auto& receipt : receipts)
    list.emplace_back(receipt);
  const auto target = fmt::format("/v1/queue/{}/{}", percent_encode(options_.stream), verb);
  const auto response = post(target, {{"receipts", std::move(list)}}, 30s);
  if (response.has_error()) return response.error();
  if (response->status < 200 || response->status > 299) return refusal_of(*response);
  return {};
}

void consuming::pause(std::chrono::milliseconds duration) const {
  const auto end = clock::now() + duration;
  while (!stopping_ && clock::now() < end)
    std::this_thread::sleep_for(std::min(50ms, duration));
}

result<consume_totals> consuming::run(const message_handler& handle, const batch_end& finish) {
  auto retry_pause = 100ms;
  bool ended = false;
  while (!ended && !stopping_) {
    const auto wanted = budget_.take(options_.batch);
    if (wanted == 0) break;
    const auto asked = clock::now();
    auto batch = receive(wanted);
    if (batch.has_error()) return batch.error();
    if (batch->empty()) {
      budget_.give_back(wanted);
      if (!options_.follow || again()) break;
      // A server that answers before its time is up, draining say, is not asked in a tight loop.
      pause(std::chrono::duration_cast<std::chrono::milliseconds>(asked + options_.wait -
                                                                  clock::now()));
      continue;
    }
    // What has not begun when most of the lease is over would end up at two consumers.
    const auto begin_before = clock::now() + options_.lease * 4 / 5;
    std::vector<std::string> done, back;
    bool late = false;
    for (const auto& next : *batch) {
      late = late || stopping_ || (!again() && clock::now() >= begin_before);
      const auto outcome = ended || late ? handled::retry : handle(next.fields);
      ended = ended || outcome == handled::stop;
      (outcome == handled::done ? done : back).push_back(next.receipt);
    }
    if (!finish()) {
      back.insert(back.end(), done.begin(), done.end());
      done.clear();
      ended = true;
    }
    budget_.give_back(wanted - std::min<std::uint64_t>(wanted, done.size()));
    totals_.acknowledged += done.size();
    totals_.given_back += back.size();
    if (!again()) {
      const auto acked = tell("ack", done);
      const auto nacked = tell("nack", back);
      if (acked.has_error()) return acked.error();
      if (nacked.has_error()) return nacked.error();
    }
    if (!done.empty()) {
      retry_pause = 100ms;
    } else if (!ended) {
      pause(retry_pause);
      retry_pause = std::min<std::chrono::milliseconds>(retry_pause * 2, max_retry_pause);
    }
  }
  return totals_;
}

} // namespace

result<consume_totals> consume(http_client& client, const consume_options& options,
                               message_budget& budget, const std::atomic<bool>& stopping,
                               const message_handler& handle, const batch_end& finish) {
  return consuming{client, options, budget, stopping}.run(handle, finish);
}

} // namespace penstock
