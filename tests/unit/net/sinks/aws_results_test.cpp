#include "net/sinks/aws/aws_request.hpp"
#include "net/sinks/aws/aws_results.hpp"
#include "net/sinks/aws/kinesis_sink.hpp"
#include "net/sinks/aws/sqs_message.hpp"
#include "net/sinks/aws/sqs_sink.hpp"
#include "tests/unit/net/sinks/sink_support.hpp"

#include <catch2/catch.hpp>

using namespace penstock;
using penstock::test::letters_of;

namespace {

request_outcome aws_error(long status, std::string body, aws_fault expected) {
  aws_fault fault{};
  auto out =
      read_aws_error({.status = status, .body = std::move(body), .retry_after_ms = {}}, 2, fault);
  CHECK(fault == expected);
  return out;
}

std::string kinesis_config_error(const kinesis_sink_settings& settings) {
  const auto made = make_kinesis_sink(settings, {"aws", "a"});
  return made ? "" : made.error().message;
}

std::string sqs_config_error(const sqs_sink_settings& settings) {
  const auto made = make_sqs_sink(settings, {"aws", "a"});
  return made ? "" : made.error().message;
}

} // namespace

TEST_CASE("PutRecords says of each record what became of it") {
  const auto out = read_put_records(R"({"FailedRecordCount":2,"Records":[
    {"SequenceNumber":"1","ShardId":"s"},
    {"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"Rate exceeded"},
    {"ErrorCode":"InternalFailure","ErrorMessage":"x"}]})",
                                    3);
  CHECK(letters_of(out.events) == "dff");
  CHECK(out.failure == "AWS says ProvisionedThroughputExceededException: Rate exceeded");
  CHECK(out.pause_ms == throttled_pause_ms);
}

TEST_CASE("an answer to PutRecords that is none delivers nothing") {
  for (const char* body : {"", "[]", "{}", R"({"Records":[{"SequenceNumber":"1"}]})",
                           R"({"Records":[{"SequenceNumber":"1"},7]})"})
    CHECK(letters_of(read_put_records(body, 2).events) == "ff");
  CHECK(letters_of(read_put_records(R"({"Records":[{"SequenceNumber":"1"},{}]})", 2).events) ==
        "df");
}

TEST_CASE("SendMessageBatch says of each message what became of it") {
  const auto out = read_send_message_batch(R"({"Successful":[{"Id":"2"},{"Id":"0"}],"Failed":[
    {"Id":"1","SenderFault":true,"Code":"InvalidMessageContents","Message":"m"},
    {"Id":"3","SenderFault":true,"Code":"RequestThrottled"},
    {"Id":"4","SenderFault":false,"Code":"InternalError"},
    {"Id":"5","SenderFault":true,"Code":"AccessDenied"}]})",
                                           6);
  CHECK(letters_of(out.events) == "drdfff");
  CHECK(out.refusal == "AWS says InvalidMessageContents: m");
  CHECK(out.failure == "AWS says RequestThrottled");
  CHECK(out.pause_ms == throttled_pause_ms);
}

TEST_CASE("what SendMessageBatch does not name has failed") {
  const auto out = read_send_message_batch(R"({"Successful":[{"Id":"0"}]})", 2);
  CHECK(letters_of(out.events) == "df");
  CHECK_FALSE(out.failure.empty());
  for (const char* id : {"2", "-1", "", "0x", "99999999999999999999"})
    CHECK(letters_of(
              read_send_message_batch(std::string{R"({"Successful":[{"Id":")"} + id + "\"}]}", 2)
                  .events) == "ff");
  CHECK(letters_of(read_send_message_batch("nonsense", 2).events) == "ff");
}

TEST_CASE("errors of whole calls") {
  auto out = aws_error(400, R"({"__type":"ProvisionedThroughputExceededException","message":"m"})",
                       aws_fault::throttled);
  CHECK(letters_of(out.events) == "ff");
  CHECK(out.pause_ms == throttled_pause_ms);
  out = aws_error(400, R"({"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no queue"})",
                  aws_fault::missing);
  CHECK(out.failure == "AWS answered 400 QueueDoesNotExist: no queue");
  out = aws_error(400, R"({"__type":"com.amazon.coral.service#SerializationException"})",
                  aws_fault::request);
  CHECK(letters_of(out.events) == "rr");
  CHECK(out.refused_as_whole);
  aws_error(400, R"({"__type":"KMSThrottlingException"})", aws_fault::throttled);
  aws_error(400, R"({"__type":"KMSDisabledException"})", aws_fault::service);
  aws_error(500, R"({"__type":"InternalFailure"})", aws_fault::service);
  aws_error(503, "<html>", aws_fault::service);
  aws_error(413, "", aws_fault::request);
}

TEST_CASE("what AWS says of a signature is not repeated, as it quotes the session token") {
  const auto out = aws_error(403, R"({"__type":"InvalidSignatureException",
    "message":"The Canonical String should have been x-amz-security-token:SECRET"})",
                             aws_fault::credentials);
  CHECK(out.failure.find("SECRET") == std::string::npos);
  CHECK(out.failure.find("InvalidSignatureException") != std::string::npos);
  CHECK(letters_of(out.events) == "ff");
  aws_error(400, R"({"__type":"ExpiredTokenException"})", aws_fault::credentials);
  aws_error(400, R"({"__type":"UnrecognizedClientException"})", aws_fault::credentials);
}

TEST_CASE("the characters that SQS lacks are escaped") {
  std::string text = "{\"a\":\"\xef\xbf\xbe \xef\xbf\xbf \xef\xbf\xbd \xef\xbf\xbe\"}";
  escape_for_sqs(text);
  CHECK(text == "{\"a\":\"\\ufffe \\uffff \xef\xbf\xbd \\ufffe\"}");
}

TEST_CASE("a queue's URL tells its region and kind") {
  CHECK(region_of_queue("https://sqs.eu-west-1.amazonaws.com/1/q") == "eu-west-1");
  CHECK(region_of_queue("https://sqs-fips.us-east-2.amazonaws.com/1/q") == "us-east-2");
  CHECK(region_of_queue("https://sqs.cn-north-1.amazonaws.com.cn/1/q") == "cn-north-1");
  CHECK(region_of_queue("https://sqs.eu-west-1.amazonaws.com.example.org/1/q").empty());
  CHECK(region_of_queue("http://127.0.0.1:4566/1/q").empty());
  CHECK(region_of_queue("nonsense").empty());
  CHECK(is_fifo_queue("https://x/1/q.fifo"));
  CHECK_FALSE(is_fifo_queue("https://x/1/q"));
}

TEST_CASE("endpoints of AWS, and what of a URL messages may name") {
  CHECK(aws_endpoint("kinesis", "eu-west-1") == "https://kinesis.eu-west-1.amazonaws.com");
  CHECK(aws_endpoint("kinesis", "cn-north-1") == "https://kinesis.cn-north-1.amazonaws.com.cn");
  CHECK(http_origin("https://user:pass@host:1/path?key=k") == "https://host:1");
  CHECK(http_origin("http://host?x@y") == "http://host");
  CHECK(http_origin("ftp://host").empty());
  CHECK(http_origin("host").empty());
}

TEST_CASE("what is wrong with the settings of AWS's sinks is named") {
  kinesis_sink_settings settings;
  CHECK(kinesis_config_error(settings).starts_with("sinks.aws.stream"));
  settings.stream = "events!";
  CHECK(kinesis_config_error(settings).starts_with("sinks.aws.stream"));
  settings.stream = "events-{stream}";
  CHECK(kinesis_config_error(settings).starts_with("sinks.aws.region"));
  settings.aws.region = "eu-west-1";
  CHECK(kinesis_config_error(settings).empty());
  settings.aws.endpoint = "localhost:4567";
  CHECK(kinesis_config_error(settings).starts_with("sinks.aws.endpoint"));
  settings.aws.endpoint = {};
  settings.aws.metadata_url = "169.254.169.254";
  CHECK(kinesis_config_error(settings).starts_with("sinks.aws.metadata_url"));
  sqs_sink_settings queue;
  CHECK(sqs_config_error(queue).starts_with("sinks.aws.queue_url"));
  queue.queue_url = "https://sqs.eu-west-1.amazonaws.com/1/q";
  CHECK(sqs_config_error(queue).empty());
  queue.queue_url = "http://127.0.0.1:4566/1/q";
  CHECK(sqs_config_error(queue).starts_with("sinks.aws.region"));
}
