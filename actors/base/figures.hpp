// Figures that actors register by themselves: the admin plane shows them without knowing who they
// are.
#pragma once

#include "actors/base/metrics.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// As many values may a label of a registered figure have, and one more for all the others.
inline constexpr std::size_t max_label_values = 64;
inline constexpr std::string_view other_label_value = "other";

/// A counter for each value of one label. The first max_label_values values get one of their own,
/// in the order in which they come; all others share `other`. One thread at a time adds; any thread
/// reads, without a lock.
class labelled_counter {
 public:
  void add(std::string_view value, std::uint64_t n = 1);
  /// Values and their counts, those of `other` last, if there are some.
  std::vector<std::pair<std::string, std::uint64_t>> values() const;

 private:
  struct slot {
    std::string value; // written before used_ says that it is there
    counter count;
  };
  std::array<slot, max_label_values> slots_;
  std::atomic<std::size_t> used_{0};
  counter others_;
  std::map<std::string, std::size_t, std::less<>> place_; // the writer's
};

enum class figure_kind : std::uint8_t { counter, gauge };

/// One value of a figure; without a label where both are empty.
struct figure_value {
  std::string label;
  std::string label_value;
  double value = 0;
};

struct figure {
  std::string name; ///< as /metrics and `penstock status` show it: "penstock_audit_notes_total"
  std::string help; ///< a sentence
  figure_kind kind = figure_kind::counter;
  std::function<std::vector<figure_value>()> read; ///< called on the admin thread
};

/// The figures of one actor. Each add_… takes what holds them and which of its members it is; the
/// figure keeps the holder alive. Names begin with "penstock_ACTOR_"; one that another figure has,
/// or that Prometheus does not take, ends the process (PENSTOCK_ASSERT).
class actor_figures {
 public:
  explicit actor_figures(std::string actor) : actor_(std::move(actor)) {}

  const std::string& actor() const { return actor_; }
  const std::vector<figure>& all() const { return all_; }

  void add(figure what);
  template <class Metrics>
  void add_counter(std::string name, std::string help, std::shared_ptr<Metrics> of,
                   counter Metrics::*which) {
    add_plain(figure_kind::counter, std::move(name), std::move(help),
              [of = std::move(of), which] { return static_cast<double>(((*of).*which).value()); });
  }
  template <class Metrics>
  void add_gauge(std::string name, std::string help, std::shared_ptr<Metrics> of,
                 gauge Metrics::*which) {
    add_plain(figure_kind::gauge, std::move(name), std::move(help),
              [of = std::move(of), which] { return static_cast<double>(((*of).*which).value()); });
  }
  /// `label`: the name of the label, "stream" say.
  template <class Metrics>
  void add_labelled(std::string name, std::string help, std::string label,
                    std::shared_ptr<Metrics> of, labelled_counter Metrics::*which) {
    add({std::move(name), std::move(help), figure_kind::counter,
         [label = std::move(label), of = std::move(of), which] {
           std::vector<figure_value> out;
           for (auto& [value, count] : ((*of).*which).values())
             out.push_back({label, value, static_cast<double>(count)});
           return out;
         }});
  }

 private:
  void add_plain(figure_kind kind, std::string name, std::string help,
                 std::function<double()> read);

  std::string actor_;
  std::vector<figure> all_;
};

} // namespace penstock
