// The text of /metrics as it is put together.
#pragma once

#include <prometheus/text_serializer.h>

#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// Collects families in the order in which they are added; prometheus-cpp makes the text.
class prometheus_page {
 public:
  using labels = std::vector<prometheus::ClientMetric::Label>;

  prometheus_page& counter(const char* name, const char* help) {
    return begin(name, help, prometheus::MetricType::Counter);
  }
  prometheus_page& gauge(const char* name, const char* help) {
    return begin(name, help, prometheus::MetricType::Gauge);
  }
  prometheus_page& histogram(const char* name, const char* help) {
    return begin(name, help, prometheus::MetricType::Histogram);
  }

  /// A value of the family begun last.
  template <class Number>
  prometheus_page& value(Number number, labels with = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(with);
    (families_.back().type == prometheus::MetricType::Counter ? metric.counter.value
                                                              : metric.gauge.value) =
        static_cast<double>(number);
    families_.back().metric.push_back(std::move(metric));
    return *this;
  }

  /// The sum of several histograms of one kind; an observation is a `per_unit`-th of the base unit.
  template <class Histogram>
  prometheus_page& value(double per_unit, const std::vector<const Histogram*>& parts,
                         labels with = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(with);
    auto& out = metric.histogram;
    for (std::size_t i = 0; i <= Histogram::bounds.size(); ++i) {
      for (const auto* part : parts)
        out.sample_count += part->bucket(i);
      const bool last = i == Histogram::bounds.size();
      out.bucket.push_back(
          {out.sample_count, last ? std::numeric_limits<double>::infinity()
                                  : static_cast<double>(Histogram::bounds[i]) / per_unit});
    }
    for (const auto* part : parts)
      out.sample_sum += static_cast<double>(part->sum()) / per_unit;
    families_.back().metric.push_back(std::move(metric));
    return *this;
  }

  std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer{}.Serialize(out, families_);
    return out.str();
  }

 private:
  prometheus_page& begin(const char* name, const char* help, prometheus::MetricType type) {
    families_.push_back({name, help, type, {}});
    return *this;
  }
  std::vector<prometheus::MetricFamily> families_;
};

inline constexpr double microseconds_per_second = 1e6;

} // namespace penstock
