#include "net/telemetry/registered_figures.hpp"

#include <cmath>

namespace penstock {

namespace {

// Counts are whole; JSON shows them so.
boost::json::value shown_number(double value) {
  constexpr double exact = 9e15;
  if (std::trunc(value) == value && std::abs(value) < exact)
    return static_cast<std::int64_t>(value);
  return value;
}

} // namespace

void add_registered(prometheus_page& out, const actor_figures& of) {
  for (const auto& figure : of.all()) {
    if (figure.kind == figure_kind::counter)
      out.counter(figure.name.c_str(), figure.help.c_str());
    else
      out.gauge(figure.name.c_str(), figure.help.c_str());
    for (auto& [label, label_value, value] : figure.read()) {
      prometheus_page::labels with;
      if (!label.empty()) with.push_back({label, label_value});
      out.value(value, std::move(with));
    }
  }
}

boost::json::object registered_json(const actor_figures& of) {
  boost::json::object out;
  for (const auto& figure : of.all()) {
    boost::json::object labelled;
    bool has_label = false;
    for (const auto& [label, label_value, value] : figure.read()) {
      has_label = has_label || !label.empty();
      if (label.empty())
        out[figure.name] = shown_number(value);
      else
        labelled[label_value] = shown_number(value);
    }
    if (has_label || !out.contains(figure.name)) out[figure.name] = std::move(labelled);
  }
  return out;
}

} // namespace penstock
