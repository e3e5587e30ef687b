// librdkafka's mock cluster as a server for tests: three brokers on free ports of 127.0.0.1. Prints
// their addresses, then answers commands from stdin, a line each, until stdin ends:
//   topic NAME PARTITIONS       makes a topic
//   fail ERROR COUNT            the next COUNT Produce requests fail: NOT_LEADER_FOR_PARTITION, …
//   refuse_all ERROR            the same without end
//   clear                       ends both
//   topic_error NAME ERROR      metadata says so from now on
//   down | up                   all brokers close their connections and take none; take them again
//   leader TOPIC PARTITION ID   the partition moves to broker ID (1 to 3), or has no leader (-1)
//   delay MS                    each answer comes so much later
//   dump TOPIC                  a line for each record since the last dump, in partition order:
//                               partition, key, body, then name and value of each header; bodies
//                               and values in hexadecimal, tabs between. Then "end COUNT".
// Data is lost with the process, and beyond 5 MB a partition: then dump answers with an error. The
// mock does not check the sequence numbers of idempotent producers.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int brokers = 3;
constexpr int16_t produce_api = 0;
constexpr std::size_t endless_errors = 10'000;
constexpr std::chrono::seconds dump_time{20};

rd_kafka_resp_err_t error_named(const std::string& name) {
  const rd_kafka_err_desc* all = nullptr;
  std::size_t count = 0;
  rd_kafka_get_err_descs(&all, &count);
  for (std::size_t i = 0; i < count; ++i)
    if (all[i].name && name == all[i].name) return all[i].code;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void append_hex(std::string& out, const void* bytes, std::size_t size) {
  constexpr char digits[] = "0123456789abcdef";
  for (std::size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<const unsigned char*>(bytes)[i];
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
}

void print_record(const rd_kafka_message_t* record) {
  std::string line = std::to_string(record->partition) + '\t';
  line.append(static_cast<const char*>(record->key), record->key_len);
  line += '\t';
  append_hex(line, record->payload, record->len);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(record, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); ++i) {
      line.append("\t").append(name).append("\t");
      append_hex(line, value, size);
    }
  }
  std::cout << line << '\n';
}

/// Reads a topic from where it stopped the last time.
class reader {
 public:
  reader(const std::string& addresses, const std::string& topic, int partitions) {
    auto* conf = rd_kafka_conf_new();
    const std::pair<const char*, std::string> settings[] = {
        {"bootstrap.servers", addresses},    {"group.id", "dump"},
        {"enable.partition.eof", "true"},    {"enable.auto.commit", "false"},
        {"reconnect.backoff.max.ms", "100"}, {"fetch.wait.max.ms", "10"},
        {"auto.offset.reset", "error"},      {"log_level", "0"}};
    for (const auto& [name, value] : settings)
      rd_kafka_conf_set(conf, name, value.c_str(), nullptr, 0);
    consumer_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf, nullptr, 0);
    rd_kafka_poll_set_consumer(consumer_);
    for (int i = 0; i < partitions; ++i)
      next_[i] = 0;
    topic_ = topic;
  }
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;
  ~reader() { rd_kafka_destroy(consumer_); }

  /// What went wrong, or "".
  std::string dump() {
    auto* from = rd_kafka_topic_partition_list_new(static_cast<int>(next_.size()));
    for (const auto& [partition, offset] : next_)
      rd_kafka_topic_partition_list_add(from, topic_.c_str(), partition)->offset = offset;
    rd_kafka_assign(consumer_, from);
    rd_kafka_topic_partition_list_destroy(from);
    const auto deadline = std::chrono::steady_clock::now() + dump_time;
    std::map<int, bool> at_end;
    std::size_t count = 0;
    while (at_end.size() < next_.size()) {
      if (std::chrono::steady_clock::now() > deadline) return "not read in time";
      auto* record = rd_kafka_consumer_poll(consumer_, 100);
      if (!record) continue;
      std::string wrong;
      if (record->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        at_end[record->partition] = true;
      } else if (record->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        wrong = "the mock has dropped records";
      } else if (!record->err && record->offset != next_[record->partition]) {
        wrong = "records are missing in partition " + std::to_string(record->partition);
      } else if (!record->err) {
        print_record(record);
        ++next_[record->partition];
        ++count;
      }
      rd_kafka_message_destroy(record);
      if (!wrong.empty()) return wrong;
    }
    std::cout << "end " << count << '\n' << std::flush;
    return {};
  }

 private:
  rd_kafka_t* consumer_ = nullptr;
  std::string topic_;
  std::map<int, std::int64_t> next_; ///< offset by partition
};

class mock {
 public:
  mock() {
    auto* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", nullptr, 0);
    host_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
    cluster_ = rd_kafka_mock_cluster_new(host_, brokers);
    addresses_ = rd_kafka_mock_cluster_bootstraps(cluster_);
  }
  mock(const mock&) = delete;
  mock& operator=(const mock&) = delete;
  ~mock() {
    readers_.clear();
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(host_);
  }
  const std::string& addresses() const { return addresses_; }

  /// What is wrong with the command, or "".
  std::string run(const std::string& line) {
    std::istringstream words{line};
    std::string command, name, error;
    int number = 0, id = 0;
    words >> command;
    if (command == "topic" && words >> name >> number) {
      partitions_[name] = number;
      return outcome(rd_kafka_mock_topic_create(cluster_, name.c_str(), number, brokers));
    }
    if (command == "fail" && words >> error >> number)
      return fail(error, static_cast<std::size_t>(number));
    if (command == "refuse_all" && words >> error) return fail(error, endless_errors);
    if (command == "clear") {
      rd_kafka_mock_clear_request_errors(cluster_, produce_api);
      return {};
    }
    if (command == "topic_error" && words >> name >> error) {
      rd_kafka_mock_topic_set_error(cluster_, name.c_str(), error_named(error));
      return {};
    }
    if (command == "down") return outcome(rd_kafka_mock_broker_set_down(cluster_, -1));
    if (command == "up") return outcome(rd_kafka_mock_broker_set_up(cluster_, -1));
    if (command == "leader" && words >> name >> number >> id)
      return outcome(rd_kafka_mock_partition_set_leader(cluster_, name.c_str(), number, id));
    if (command == "delay" && words >> number)
      return outcome(rd_kafka_mock_broker_set_rtt(cluster_, -1, number));
    if (command == "dump" && words >> name) return dump(name);
    return "no such command";
  }

 private:
  static std::string outcome(rd_kafka_resp_err_t code) {
    return code ? rd_kafka_err2str(code) : std::string{};
  }
  std::string fail(const std::string& name, std::size_t count) {
    const auto code = error_named(name);
    if (!code) return "librdkafka has no error " + name;
    const std::vector<rd_kafka_resp_err_t> errors(count, code);
    rd_kafka_mock_push_request_errors_array(cluster_, produce_api, errors.size(), errors.data());
    return {};
  }
  std::string dump(const std::string& topic) {
    if (!partitions_.contains(topic)) return "no such topic";
    auto& found = readers_[topic];
    if (!found) found = std::make_unique<reader>(addresses_, topic, partitions_[topic]);
    return found->dump();
  }

  rd_kafka_t* host_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  std::string addresses_;
  std::map<std::string, int> partitions_;
  std::map<std::string, std::unique_ptr<reader>> readers_;
};

} // namespace

int main() {
  std::ios::sync_with_stdio(false);
  mock cluster;
  std::cout << cluster.addresses() << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto wrong = cluster.run(line);
    if (!wrong.empty()) {
      std::cout << "error " << wrong << std::endl;
    } else if (!line.starts_with("dump")) {
      std::cout << "ok" << std::endl;
    }
  }
}
