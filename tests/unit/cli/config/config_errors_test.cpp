#include "cli/config/config_checks.hpp"
#include "config_support.hpp"

#include <catch2/catch.hpp>

using namespace penstock;
using namespace penstock::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

TEST_CASE("an unknown key is named with its line and the nearest key") {
  CHECK(errors_of("[http]\n\nlisen = '127.0.0.1:80'\n") ==
        "node.toml:3: http.lisen: there is no such key; did you mean http.listen?");
  CHECK(errors_of("[http]\ndata_dir = 'x'\n") ==
        "node.toml:2: http.data_dir: there is no such key; did you mean node.data_dir?");
  CHECK_THAT(errors_of("[log]\nxyzzy = 1\n"),
             StartsWith("node.toml:2: log.xyzzy: there is no such key; log has level, format"));
  CHECK(errors_of("[htpp]\nlisten = 'x'\n") ==
        "node.toml:1: htpp: there is no such section; did you mean [http]?");
  CHECK_THAT(errors_of("listen = 'x'\n"), Contains("listen: there is no such section; there are"));
  CHECK_THAT(errors_of("http = 3\n"), Contains("this is a section; write [http]"));
  CHECK(errors_of("[streams.errors]\nacks = 'received'\n") ==
        "node.toml:2: streams.errors.acks: there is no such key; did you mean streams.errors.ack?");
  CHECK_THAT(errors_of("[plans]\npro = 3\n"),
             Contains("plans.pro: this is a table; write [plans.pro]"));
  CHECK_THAT(errors_of("[streams.'a b']\n"), Contains("\"a b\" is not a name"));
}

TEST_CASE("a wrong type or range is named with what would do") {
  CHECK(
      errors_of("[http]\nmax_body = '1 megabyte'\n") ==
      "node.toml:2: http.max_body: \"1 megabyte\" is not a whole number and one of B, kB, MB, GB, "
      "TB, KiB, MiB, GiB, TiB; write a size from 1B to 256MiB, for example \"4MiB\"");
  CHECK(
      errors_of("[http]\nthreads = '4'\n") ==
      "node.toml:2: http.threads: \"4\" is not a whole number; write a whole number from 0 to 256, "
      "for example 4");
  CHECK_THAT(errors_of("[http]\nthreads = 257\n"), Contains("257 is out of range"));
  CHECK_THAT(errors_of("[http]\nthreads = -1\n"), Contains("-1 is out of range"));
  CHECK_THAT(errors_of("[http]\nthreads = 1.5\n"), Contains("1.5 is not a whole number"));
  CHECK_THAT(errors_of("[http]\nthreads = true\n"), Contains("true is not a whole number"));
  CHECK_THAT(errors_of("[http]\nidle_timeout = 75\n"),
             Contains("75 is not a whole number and one of ms"));
  CHECK_THAT(errors_of("[http]\nidle_timeout = '1ms'\n"), Contains("is out of range"));
  CHECK_THAT(errors_of("[http]\nlisten = 'localhost:80'\n"),
             Contains("\"localhost:80\" is not an IP address and a port"));
  CHECK_THAT(errors_of("[http]\nlisten = ['127.0.0.1:80']\n"), Contains("a list is not a text"));
  CHECK_THAT(errors_of("[http]\nlisten.port = 3\n"), Contains("a table is not a text"));
  CHECK_THAT(errors_of("[http]\ntrusted_proxies = '127.0.0.1'\n"), Contains("is not a list"));
  CHECK_THAT(errors_of("[http]\ntrusted_proxies = [\n '10.0.0.0/8',\n '10.0.0.1/8']\n"),
             Contains("node.toml:4") && Contains("\"10.0.0.1/8\" is not a network"));
  CHECK_THAT(errors_of("[http]\ntrusted_proxies = ['::1', '::1']\n"),
             Contains("is in the list twice"));
  CHECK_THAT(errors_of("[node]\nname = 'a b'\n"), Contains("\"a b\" is not a name"));
  CHECK_THAT(errors_of("[node]\nname = \"a\\nb\"\n"), Contains("\"a\\x0ab\" is not a name"));
  CHECK_THAT(errors_of("[log]\nlevel = 'inof'\n"), Contains("did you mean \"info\"?"));
}

TEST_CASE("replicated needs a second node that speaks of it") {
  const std::string stream = "[streams.default]\nack = 'replicated'\n";
  CHECK_THAT(errors_of(stream), Contains("streams.default.ack: \"replicated\" needs a second node; "
                                         "set cluster.directory"));
  const std::string peers =
      stream + "[cluster]\ndirectory = 'static'\npeers = ['127.0.0.1:4201']\n";
  CHECK_THAT(errors_of(peers + "max_wire_version = 4\n"),
             Contains("needs cluster.max_wire_version = 5 or later"));
  CHECK_THAT(errors_of(peers + "max_wire_version = 11\n"), Contains("from 4 to 10"));
  CHECK(errors_of(peers).empty());
}

TEST_CASE("a directory in NATS needs a secret, an address and a server") {
  const auto with = [](const std::string& more) {
    return errors_of("[cluster]\ndirectory = 'nats'\n" + more);
  };
  const std::string secret = "secret = '4b1f0c9e7a6d48d2'\n";
  CHECK(with(secret) == "");
  CHECK_THAT(with(""), Contains("cluster.secret: directory = \"nats\" needs one"));
  CHECK_THAT(with(secret + "listen = '0.0.0.0:4200'\n"),
             Contains("node.toml:4: cluster.listen: 0.0.0.0:4200 is not an address"));
  CHECK_THAT(with(secret + "nats_url = 'http://me:pass@a'\n"),
             Contains("cluster.nats_url: is not nats://HOST:PORT") && !Contains("me:pass"));
  CHECK_THAT(with(secret + "nats_cert_file = 'a.pem'\n"),
             Contains("cluster.nats_key_file: is missing"));
  CHECK_THAT(with(secret + "nats_password = 'p4ss'\n"),
             Contains("cluster.nats_username: is missing") && !Contains("p4ss"));
  CHECK_THAT(with(secret + "nats_replicas = 6\n"), Contains("cluster.nats_replicas"));
}

TEST_CASE("identity rules are checked") {
  const auto order = [](const std::string& list) {
    return errors_of("[identity]\norder = " + list);
  };
  CHECK(order("['header:X-A', 'ip']") == "");
  for (const auto* bad : {"['header', 'ip']", "['header:', 'ip']", "['ip:x']",
                          "['cookie:a b', 'ip']", "['token', 'ip']"})
    CHECK_THAT(order(bad), Contains("is not among them"));
  CHECK_THAT(order("['bearer']"), Contains("add \"ip\" at the end"));
  CHECK_THAT(order("[]"), Contains("add \"ip\" at the end"));
  CHECK_THAT(order("['ip', 'bearer']"), Contains("move \"ip\" to the end"));
}

TEST_CASE("limits are checked") {
  const auto one = [](const std::string& keys) {
    return errors_of("[plans.anonymous]\nlimits = [\n{ " + keys + " }]\n");
  };
  CHECK(one("name='a', algorithm='gcra', amount=1, window='1s'") == "");
  CHECK(one("name='a', algorithm='interval', window='10s'") == "");
  CHECK_THAT(
      one("name='a', algoritm='gcra', amount=1, window='1s'"),
      Contains("node.toml:3: plans.anonymous.limits[0]: a limit has no key \"algoritm\"; did "
               "you mean algorithm?"));
  CHECK_THAT(one("name='a', xyzzyxyzzy=true, amount=1, window='1s'"),
             Contains("it has name, algorithm"));
  CHECK_THAT(one("amount=1, window='1s'"), Contains("add name"));
  CHECK_THAT(one("name='a', window='1s'"), Contains("the limit \"a\" has no amount"));
  CHECK_THAT(one("name='a', amount=1"), Contains("the limit \"a\" has no window"));
  CHECK_THAT(one("name='a', amount=0, window='1s'"),
             Contains("limits[0].amount: 0 is out of range"));
  CHECK_THAT(one("name='a', amount=1, window='1'"),
             Contains("limits[0].window: \"1\" is not a window"));
  CHECK_THAT(one("name='a', amount=1, window='0s'"), Contains("out of range"));
  CHECK_THAT(one("name='a', amount=1, window='400d'"), Contains("out of range"));
  CHECK_THAT(one("name='a', algorithm='leaky', amount=1, window='1s'"),
             Contains("not a known value"));
  CHECK_THAT(one("name='a', algorithm='calendar', amount=1, window='1s'"),
             Contains("write \"hour\", \"day\" or \"month\""));
  CHECK_THAT(one("name='a', amount=1, window='day'"), Contains("needs algorithm = \"calendar\""));
  CHECK_THAT(one("name='a', algorithm='fixed_window', amount=1, window='1s', burst=2"),
             Contains("only algorithm = \"gcra\" has a burst"));
  CHECK_THAT(one("name='a', algorithm='interval', amount=2, window='1s'"),
             Contains("one event per window"));
  CHECK_THAT(one("name='a', amount=4000000000, window='1ms'"),
             Contains("more than one event a nanosecond"));
  CHECK_THAT(one("name='a', amount=1, window='366d', burst=4000000000"), Contains("36 years"));
  CHECK(one("name='a', amount='4GiB', window='1d', cost='byte', burst='10MB'") == "");
  CHECK_THAT(one("name='a', amount='10MiB', window='1s'"),
             Contains("amount = \"10MiB\" is a size, and this limit counts events"));
  CHECK_THAT(one("name='a', amount=1, burst='1kB', window='1s'"), Contains("burst = \"1000B\""));
  CHECK_THAT(one("name='a', amount=4000000001, window='1d'"), Contains("out of range"));
  CHECK_THAT(one("name='a', amount='5GiB', window='1d', cost='byte'"),
             Contains("limits[0].amount: \"5GiB\" is out of range"));
  CHECK_THAT(one("name='a', amount='ten', window='1d'"),
             Contains("\"ten\" is neither a whole number nor a size"));
  CHECK_THAT(one("name='a', window='1d', cost='byte'"), Contains("add amount = \"10MiB\""));
  CHECK_THAT(one("name='a', algorithm='interval', window='1d', cost='byte'"),
             Contains("counts no bytes"));
  CHECK_THAT(one("name='a', amount=1, window='1s', scope='ip'"),
             Contains("write \"account\", \"key\" or \"stream\""));
  CHECK_THAT(one("name='a', amount=1, window='1s', cost='bytes'"),
             Contains("did you mean \"byte\"?"));
  CHECK_THAT(one("name='a', amount=1, window='1s', shadow='yes'"),
             Contains("\"yes\" is neither true nor false"));
  CHECK_THAT(one("name='a', amount=1, window='1s', paths=['v1']"),
             Contains("\"v1\" is not a path"));
  CHECK_THAT(one("name='a', amount=1, window='1s', paths=['/v*/x']"),
             Contains("'*' that does not end it"));
  CHECK_THAT(one("name='a', amount=1, window='1s', methods=['post']"),
             Contains("\"post\" is not a method"));
  CHECK_THAT(one("name='a', amount=1, window='1s'}, {name='a', amount=2, window='1s'"),
             Contains("two limits have the name \"a\""));
  CHECK_THAT(errors_of("[plans.anonymous]\nlimits = 3\n"), Contains("3 is not a list"));
  CHECK_THAT(errors_of("[plans.anonymous]\nlimits = [3]\n"),
             Contains("limits[0]: 3 is not a limit"));
  std::string nine = "[plans.anonymous]\nlimits = [";
  for (int i = 0; i < 9; ++i)
    nine += "{name='l" + std::to_string(i) + "', amount=1, window='1s'},";
  CHECK_THAT(errors_of(nine + "]"), Contains("9 limits are too many"));
}

TEST_CASE("what the code has fixed room for is bounded by the configuration") {
  CHECK_THAT(errors_of("[http]\nmax_batch_events = 20000\n"), Contains("http.max_batch_events"));
  CHECK_THAT(errors_of("[identity]\norder = ['header:a', 'header:b', 'header:c', 'header:d', "
                       "'header:e', 'ip']\n"),
             Contains("identity.order") && Contains("at most 4 headers"));
  const auto many = [](std::size_t count, const std::string& before, const std::string& after) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
      text += before + std::to_string(i) + after;
    return text;
  };
  CHECK_THAT(errors_of(many(1001, "[overrides.o", "]\nip = '10.0.0.1'\nplan = 'anonymous'\n")),
             Contains("more than 1000 overrides"));
  CHECK_THAT(errors_of(many(1001, "[streams.s", "]\n")), Contains("more than 1000 streams"));
  CHECK_THAT(errors_of("[http]\ntrusted_proxies = [" + many(257, "'10.0.0.", "', ") + "]\n"),
             Contains("http.trusted_proxies"));
  CHECK_THAT(errors_of("[streams.s]\nsinks = [" + many(17, "'s", "', ") + "]\n"),
             Contains("streams.s.sinks"));
  CHECK_THAT(errors_of("[plans.p]\nlimits = [" +
                       many(9, "{ name = 'l", "', amount = 1, window = '1s' }, ") + "]\n"),
             Contains("plans.p.limits") && Contains("8"));
}

TEST_CASE("keys are checked against each other") {
  CHECK_THAT(errors_of("[admin]\nhosts = ['http://ops.example']\n"),
             StartsWith("node.toml:2: admin.hosts: \"http://ops.example\" is neither a name"));
  CHECK_THAT(errors_of("[admin]\nlisten = '0.0.0.0:8081'\ntoken = 'a-long-token'\n"),
             StartsWith("node.toml:2: admin.listen: 0.0.0.0:8081 is not a loopback address") &&
                 Contains("needs TLS and a token, and this version has no TLS"));
  CHECK_THAT(errors_of("[http]\nlisten = '0.0.0.0:8081'\n"),
             Contains("admin.listen: this is the port of"));
  CHECK_THAT(errors_of("[streams.a]\nsinks = ['bus']\n"),
             Contains("node.toml:2: streams.a.sinks: there is no sink \"bus\""));
  CHECK(errors_of("[streams.a]\nsinks = []\n").empty()); // accepted, stored and let go
  CHECK_THAT(errors_of("[sinks.q2]\n[streams.a]\nsinks = ['queue', 'q2']\n"),
             Contains("one embedded queue"));
  CHECK_THAT(errors_of("[streams.a]\nmax_body = '2MiB'\n"),
             Contains("more than http.max_body (1MiB)"));
  CHECK_THAT(errors_of("[http]\nmax_in_flight = '512KiB'\n"), Contains("less than one body"));
  CHECK_THAT(errors_of("[journal]\nmax_size = '100MiB'\n"), Contains("less than two segments"));
  CHECK_THAT(errors_of("[journal]\nlow_watermark = 81\n"),
             Contains("node.toml:2: journal.low_watermark: 81 is more than journal.high_watermark "
                      "(80)"));
  CHECK(errors_of("[journal]\nlow_watermark = 80\n").empty());
  CHECK_THAT(errors_of("[journal]\nmax_size = '128MiB'\nlow_watermark = 40\n"),
             Contains("less than a segment of journal.segment_size (64MiB)"));
  CHECK_THAT(errors_of("[journal]\nhigh_watermark = 101\n"), Contains("out of range"));
  CHECK_THAT(errors_of("[streams.a]\npublish_timeout = '9ms'\n"), Contains("out of range"));
  CHECK_THAT(errors_of("[streams.a]\non_publish_timeout = 'acept'\n"),
             Contains("did you mean \"accept\"?"));
  CHECK_THAT(errors_of("[cluster]\ndirectory = 'static'\n"),
             Contains("default: cluster.peers: directory = \"static\" needs the addresses"));
  CHECK_THAT(errors_of("[cluster]\ndirectory = 'static'\npeers = ['127.0.0.1:4200']\n"),
             Contains("node.toml:3: cluster.peers: directory = \"static\" needs"));
  CHECK_THAT(
      errors_of("[cluster]\ndirectory='static'\nlisten='0.0.0.0:4200'\npeers=['10.0.0.1:1']\n"),
      Contains("not an address that other nodes can name"));
  CHECK_THAT(errors_of("[cluster]\npeers=['10.0.0.1:0']\n"), Contains("\"10.0.0.1:0\" is not"));
}

TEST_CASE("nodes off loopback need TLS, or a word that they do not") {
  const std::string off = "[cluster]\ndirectory = 'static'\nlisten = '10.0.0.1:4200'\n"
                          "peers = ['10.0.0.2:4200']\n";
  CHECK_THAT(errors_of(off),
             Contains("node.toml:3: cluster.listen: 10.0.0.1:4200 is not a loopback "
                      "address, and off loopback nodes need TLS: set "
                      "cluster.tls_cert"));
  CHECK(errors_of(off + "allow_plaintext = true\n").empty());
  CHECK(errors_of(off + "tls_cert = 'a'\ntls_key = 'b'\ntls_ca = 'c'\n").empty());
  CHECK(errors_of("[cluster]\nlisten = '10.0.0.1:4200'\n").empty()); // not in use
  const std::string loopback = "[cluster]\ndirectory = 'static'\npeers = ['127.0.0.1:4201']\n";
  CHECK(errors_of(loopback).empty());
  CHECK_THAT(errors_of(loopback + "tls_cert = 'a'\ntls_ca = 'c'\n"),
             Contains("default: cluster.tls_key: TLS between nodes needs"));
  CHECK_THAT(errors_of(loopback + "tls_key = 'b'\n"),
             Contains("cluster.tls_cert: TLS") && Contains("cluster.tls_ca: TLS"));
}

TEST_CASE("a key that is wrong by itself is told once") {
  CHECK(errors_of("[journal]\nmax_size = 'x'\n").find('\n') == std::string::npos);
  CHECK(errors_of("[sinks.bus]\nkind = 'nats'\n[streams.a]\nsinks = ['bus']\n").find('\n') ==
        std::string::npos);
}

TEST_CASE("a name for the admin plane without a token is worth a word") {
  config c;
  CHECK(admin_warnings(c).empty());
  c.admin.hosts = {"ops.example"};
  REQUIRE(admin_warnings(c).size() == 1);
  CHECK_THAT(admin_warnings(c)[0], Contains("admin.token"));
  c.admin.token = "a-long-token";
  CHECK(admin_warnings(c).empty());
}

TEST_CASE("all problems are told at once, each with its source") {
  config_sources sources;
  sources.environment = {{"PENSTOCK_HTTP_THREADS", "many"}, {"PENSTOCK_HTTP_LISEN", "x"}};
  sources.sets = {"log.level=loud", "htttp.listen=x", "node.name", "plans.pro.limits=[{"};
  const auto text = errors_of("[http]\nthreads = 'x'\nmax_boddy = 1\n", sources);
  CHECK_THAT(text, Contains("node.toml:2: http.threads: \"x\" is not a whole number"));
  CHECK_THAT(text, Contains("node.toml:3: http.max_boddy"));
  CHECK_THAT(text, Contains("environment PENSTOCK_HTTP_THREADS: http.threads: \"many\" is not"));
  CHECK_THAT(text, Contains("environment PENSTOCK_HTTP_LISEN: there is no such key; did you mean "
                            "PENSTOCK_HTTP_LISTEN?"));
  CHECK_THAT(text, Contains("--set: log.level: \"loud\" is not a known value"));
  CHECK_THAT(text,
             Contains("--set: htttp.listen: there is no such key; did you mean http.listen?"));
  CHECK_THAT(text, Contains("--set: node.name: there is no value; write --set section.key=value"));
  CHECK_THAT(text, Contains("--set: plans.pro.limits: this is not TOML"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 7);
}

TEST_CASE("secrets never show in an error") {
  config_sources sources;
  sources.sets = {"admin.token=hunter2", "cluster.secret=hunter2"};
  const auto loaded = load_config(sources);
  REQUIRE(loaded.has_error());
  CHECK_THAT(loaded.error().message, Contains("admin.token: the value is too short"));
  CHECK_THAT(loaded.error().message, !Contains("hunter2"));
}

TEST_CASE("files that are no configuration are refused") {
  CHECK_THAT(errors_of("[http\n"), StartsWith("node.toml:1: this is not TOML: "));
  CHECK_THAT(errors_of("[log]\nlevel='info'\nlevel='warn'\n"),
             StartsWith("node.toml:3: this is not TOML"));
  CHECK_THAT(errors_of(std::string(2u << 20, '#')), Contains("larger than 1MiB"));
  config_sources sources;
  sources.file = "does/not/exist.toml";
  CHECK_THAT(load_config(sources).error().message,
             StartsWith("does/not/exist.toml: the file can't be read"));
  sources.file = "/";
  CHECK_THAT(load_config(sources).error().message, Contains("can't be read"));
  CHECK(load_config(sources).error().code == errc::config);
}

TEST_CASE("what a file's keys and values hold steers no terminal, and breaks no line") {
  CHECK_THAT(errors_of("[log]\n\"\\n\\u001b[2J\" = 1\n"),
             StartsWith("node.toml:2: log.\\x0a\\x1b[2J: there is no such key"));
  CHECK_THAT(errors_of("[streams.\"\\u009b\"]\n"), StartsWith("node.toml:1: streams.\\xc2\\x9b: "));
  CHECK_THAT(errors_of("[log]\nlevel = \"\\u202e\\u0007é\"\n"),
             Contains("\"\\xe2\\x80\\xae\\x07é\" is not"));
}
