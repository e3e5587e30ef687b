#include "net/telemetry/status_page.hpp"

#include "net/base/base64.hpp"
#include "net/base/wall_time.hpp"
#include "net/telemetry/cluster_status.hpp"
#include "net/telemetry/process_metrics.hpp"
#include "net/telemetry/registered_figures.hpp"
#include "net/telemetry/sink_metrics_page.hpp"

#include <boost/json.hpp>
#include <openssl/sha.h>

#include <array>

namespace penstock {

namespace {

namespace json = boost::json;

json::array queues_of(const node_totals& totals) {
  json::array out;
  for (const auto& queue : totals.queues)
    out.push_back(json::object{
        {"stream", queue.stream},
        {"depth", queue.depth},
        {"bytes", queue.bytes},
        {"in_flight", queue.in_flight},
        {"expired", queue.expired},
        {"oldest_age_s", static_cast<double>(queue.oldest_ms) / 1e3},
    });
  return out;
}

/// The names of the streams that are refused, as many as a page bears.
json::array refused_of(const node_totals& totals) {
  constexpr std::size_t max_names = 100;
  json::array out;
  if (totals.full_streams)
    for (const auto& name : totals.full_streams->names)
      if (out.size() < max_names) out.emplace_back(name);
  return out;
}

json::object replication_of(const replicator_metrics& origin, const replica_metrics& holder) {
  return {{"has_holder", origin.has_holder.value() > 0},
          {"waiting_bytes", origin.waiting_bytes.value()},
          {"single_events", origin.single_events.value() + holder.single_events.value()},
          {"lag_s", static_cast<double>(origin.lag_us.value()) / 1e6},
          {"holds_nodes", holder.origins.value()},
          {"holds_bytes", holder.held_bytes.value()}};
}

json::object memory_of(const memory_figures& from) {
  json::array budgets;
  for (const auto& one : from.uses)
    budgets.push_back(json::object{
        {"use", one.use}, {"bound_bytes", one.bound_bytes}, {"used_bytes", one.used_bytes()}});
  json::object bounds;
  for (const auto& [key, value] : from.bounds)
    bounds[key] = value;
  return {{"limit_bytes", from.limit_bytes},
          {"source", from.source},
          {"head_room_bytes", from.head_room_bytes},
          {"budgets", std::move(budgets)},
          {"bounds", std::move(bounds)}};
}

} // namespace

std::string status_json(const metrics_sources& from, const node_state& node) {
  const auto totals = totals_of(from);
  const auto self = read_process_figures();
  const auto now_ms = wall_ms();
  json::object out{
      {"node", from.node_name},
      {"version", from.version},
      {"uptime_s", static_cast<double>(now_ms - from.started_ms) / 1e3},
      {"ready", node.ready.load(std::memory_order_relaxed)},
      {"draining", node.draining.load(std::memory_order_relaxed)},
      {"http", json::object{{"requests", totals.requests},
                            {"accepted", totals.accepted},
                            {"refused", totals.refused},
                            {"shed", totals.shed},
                            {"connections", totals.connections}}},
      {"limiter", json::object{{"clients", totals.live_clients}}},
      {"journal", json::object{{"events", totals.events},
                               {"bytes", totals.journal_bytes},
                               {"max_bytes", totals.journal_max_bytes},
                               {"durable_seq", totals.durable_seq},
                               {"scarce", totals.journal_scarce},
                               {"full", totals.journal_full},
                               {"refused_streams", refused_of(totals)},
                               {"unconfigured_bytes", totals.unconfigured_bytes},
                               {"unconfigured_max_bytes", totals.unconfigured_max_bytes},
                               {"unconfigured_full",
                                totals.full_streams && totals.full_streams->unconfigured}}},
      {"cluster", cluster_json(from)},
      {"process",
       json::object{{"cpu_s", self.cpu_seconds}, {"resident_bytes", self.resident_bytes}}},
      {"queues", queues_of(totals)},
      {"sinks", sinks_json(from.sinks, now_ms, from.is_configured)},
  };
  if (from.names)
    out["stream_names"] = json::object{{"used", from.names->used()}, {"max", from.names->places()}};
  if (from.memory.limit_bytes > 0) out["memory"] = memory_of(from.memory);
  if (from.replicator && from.replicas)
    out["replication"] = replication_of(*from.replicator, *from.replicas);
  if (from.dead_letters) {
    std::uint64_t letters = 0;
    for (const auto& tally : from.dead_letters->tallies())
      letters += tally.letters;
    out["dead_letters"] = letters;
  }
  if (!from.actors.empty()) {
    json::object actors;
    for (const auto& actor : from.actors)
      actors[actor->actor()] = registered_json(*actor);
    out["actors"] = std::move(actors);
  }
  return json::serialize(out);
}

namespace {

constexpr std::string_view page_style = R"css(
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:48rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin:0}
h2{font-size:1rem;margin:1.5rem 0 0}
p{margin:.2rem 0 1.2rem;opacity:.75}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(10rem,1fr));gap:1rem}
dt{font-size:.85rem;opacity:.75}
dd{margin:0;font-size:1.4rem;font-variant-numeric:tabular-nums}
table{width:100%;border-collapse:collapse;margin-top:1.5rem}
th,td{text-align:right;padding:.3rem 0;border-bottom:1px solid #8884}
th:first-child,td:first-child{text-align:left}
form{margin:1.5rem 0}
input,button{font:inherit;padding:.3rem .6rem;margin:.3rem .3rem 0 0}
label{display:block}
input{display:block;width:20rem;max-width:100%;box-sizing:border-box}
)css";

constexpr std::string_view status_body = R"html(
<h1 id="node">Penstock</h1><p id="state" role="status">Asking the node…</p>
<dl id="figures"></dl>
<table><thead><tr><th>Stream</th><th>Waiting</th><th>In flight</th><th>Oldest</th></tr></thead>
<tbody id="queues"></tbody></table>
<table id="sinks" hidden><thead><tr><th>Sink</th><th>Stream</th><th>State</th><th>Lag</th><th>Bytes</th><th>Oldest</th></tr></thead>
<tbody></tbody></table>
<h2 id="cluster" hidden></h2>
<table id="members" hidden><thead><tr><th>Member</th><th>Node</th><th>State</th><th>Shards</th><th>Version</th><th>Heard</th><th>Requests/s</th><th>Lag</th></tr></thead>
<tbody></tbody></table>
)html";

constexpr std::string_view leave_form = R"html(
<form method="post" action="logout"><button>Log out</button></form>
)html";

constexpr std::string_view status_script = R"js(
const $=id=>document.getElementById(id);
const count=n=>n.toLocaleString();
const bytes=n=>{let u=0;while(n>=1024&&u<4){n/=1024;u++}return n.toFixed(u?1:0)+" "+["B","KiB","MiB","GiB","TiB"][u]};
const age=s=>s<120?s.toFixed(0)+" s":s<7200?(s/60).toFixed(0)+" min":(s/3600).toFixed(1)+" h";
let last=null;
function figure(name,value){const t=document.createElement("dt"),d=document.createElement("dd"),
 b=document.createElement("div");t.textContent=name;d.textContent=value;b.append(t,d);return b}
function row(cells){const r=document.createElement("tr");
 for(const c of cells){const d=document.createElement("td");d.textContent=c;r.append(d)}return r}
function cluster(c){
 const members=c.members||[];
 $("cluster").hidden=$("members").hidden=!members.length;
 if(!members.length)return;
 $("cluster").textContent="Cluster "+c.name+(c.epoch===undefined?"":" · view "+c.epoch
  +" · directory "+(c.directory_up?"up":"away"))+" · here "+c.shards.owned+" shards, "
  +c.shards.arriving+" arriving, "+c.shards.leaving+" leaving · "+count(c.leased_units)
  +" units leased · "+count(c.held_requests)+" requests held";
 const or=(v,f)=>v===undefined||v===""?"–":f?f(v):v;
 $("members").tBodies[0].replaceChildren(...members.map(m=>
  row([m.address+(m.self?" (this)":""),or(m.node),m.state+(m.linked||m.state=="down"?"":", no link"),
   m.shards,or(m.version),or(m.heard_s_ago,age),or(m.requests_per_s,count),or(m.lag_events,count)])))}
async function refresh(){
 try{
  const answer=await fetch("v1/admin/status");
  if(answer.status==401){location.reload();return}
  if(!answer.ok)throw new Error("the node answered "+answer.status);
  const s=await answer.json(),now=performance.now();
  const rate=last?(s.http.requests-last.n)/((now-last.t)/1000):0;
  last={n:s.http.requests,t:now};
  $("node").textContent="Penstock · "+s.node;
  $("state").textContent=(s.draining?"draining":s.ready?"ready":"not ready")
   +(s.journal.full?", journal full":"")+" · up "+age(s.uptime_s)+" · version "+s.version;
  $("figures").replaceChildren(
   figure("Requests a second",count(Math.round(rate))),
   figure("Requests",count(s.http.requests)),
   figure("Accepted",count(s.http.accepted)),
   figure("Over their limit",count(s.http.refused)),
   figure("Turned away",count(s.http.shed)),
   figure("Connections",count(s.http.connections)),
   figure("Clients tracked",count(s.limiter.clients)),
   figure("Events durable",count(s.journal.events)),
   figure("Journal",bytes(s.journal.bytes)+(s.journal.max_bytes?" of "+bytes(s.journal.max_bytes):"")),
   ...(s.dead_letters?[figure("Dead letters",count(s.dead_letters))]:[]),
   figure("Peers up",count(s.cluster.peers_up)),
   figure("Memory",bytes(s.process.resident_bytes)),
   figure("CPU",age(s.process.cpu_s)));
  $("queues").replaceChildren(...s.queues.map(q=>
   row([q.stream,count(q.depth),count(q.in_flight),q.depth?age(q.oldest_age_s):"–"])));
  $("sinks").hidden=!s.sinks.length;
  $("sinks").tBodies[0].replaceChildren(...s.sinks.flatMap(k=>
   (k.streams.length?k.streams:[null]).map(t=>{
    const held=t&&t.state!="ok";
    const r=row([k.sink,t?t.stream:"–",held?t.state:k.state].concat(
     t?[count(t.lag_events),bytes(t.lag_bytes),t.lag_events?age(t.lag_s):"–"]:["–","–","–"]));
    const why=held?t.error:k.last_error;if(why)r.title=why;return r})));
  cluster(s.cluster);
 }catch(e){$("state").textContent="No answer: "+e.message}
 setTimeout(refresh,2000)}
refresh();
)js";

std::string page_of(std::string_view body, std::string_view script) {
  std::string out = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Penstock</title>
<style>)html";
  out += page_style;
  out += "</style></head><body>";
  out += body;
  if (!script.empty()) {
    out += "<script>";
    out += script;
    out += "</script>";
  }
  out += "</body></html>\n";
  return out;
}

/// How a policy names a script or style that is in the page.
std::string source_hash(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string out = "'sha256-";
  append_base64(out, {reinterpret_cast<const char*>(digest.data()), digest.size()});
  return out + "'";
}

} // namespace

std::string status_page(bool can_leave) {
  std::string body{status_body};
  if (can_leave) body += leave_form;
  return page_of(body, status_script);
}

std::string login_page(std::string_view complaint) {
  std::string body = R"html(
<h1>Penstock</h1><p role="alert">)html";
  body += complaint;
  body += R"html(</p>
<form method="post" action="login">
<label for="token">The admin token of this node (admin.token)</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button></form>
)html";
  return page_of(body, "");
}

const std::string& page_policy() {
  static const std::string policy =
      "default-src 'none'; script-src " + source_hash(status_script) + "; style-src " +
      source_hash(page_style) +
      "; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
  return policy;
}

} // namespace penstock
