"""Turns the samples of a benchmark into tables."""

import statistics

COLUMNS = ["server", "requests/s", "events/s", "p50 ms", "p99 ms", "CPU µs/request",
           "CPU to nginx", "written B/event"]


def median(samples, pick):
    values = [value for value in map(pick, samples) if value is not None]
    return statistics.median(values) if values else None


def shown(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def row(name, samples):
    return [
        name,
        shown(median(samples, lambda s: s["requests_per_s"])),
        shown(median(samples, lambda s: s["events_per_s"])),
        shown(median(samples, lambda s: s["latency_us"]["p50"] / 1000), 2),
        shown(median(samples, lambda s: s["latency_us"]["p99"] / 1000), 2),
        shown(median(samples, lambda s: s["server_cpu_us"]), 2),
        shown(median(samples, lambda s: s.get("cpu_to_nginx")), 2),
        shown(median(samples, lambda s: s.get("written_per_event"))),
    ]


def table(case):
    rows = [COLUMNS, *(row(name, samples) for name, samples in case.items() if samples)]
    widths = [max(len(r[i]) for r in rows) for i in range(len(COLUMNS))]
    lines = []
    for number, r in enumerate(rows):
        cells = [r[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(r[1:], widths[1:]))]
        lines.append("| " + " | ".join(cells) + " |")
        if number == 0:
            lines.append("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return lines


def unexpected(samples):
    """Answers and errors that should not have been, added up over the rounds."""
    total = {}
    for sample in samples:
        for what, count in sample.get("unexpected", {}).items():
            total[what] = total.get(what, 0) + count
    return total


def has_unexpected(result):
    return any(unexpected(samples) for case in result["cases"].values()
               for samples in case.values())


def remarks(case):
    lines = []
    if case.get("express") and case.get("penstock"):
        ratio = statistics.median(e["server_cpu_us"] / p["server_cpu_us"]
                                  for e, p in zip(case["express"], case["penstock"])
                                  if p["server_cpu_us"])
        lines.append(f"express uses {ratio:.1f} times the CPU of penstock for each durable request.")
    if case.get("append floor") and case.get("penstock"):
        part = statistics.median(p["events_per_s"] / f["events_per_s"]
                                 for f, p in zip(case["append floor"], case["penstock"]))
        lines.append(f"penstock makes {part:.0%} of the events/s of the append floor.")
    for name, samples in case.items():
        if wrong := unexpected(samples):
            what = ", ".join(f"{count} × {kind}" for kind, count in wrong.items())
            lines.append(f"UNEXPECTED from {name}: {what}.")
    return lines


def as_markdown(result):
    machine, settings = result["machine"], result["settings"]
    lines = [f"{machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}; commit "
             f"{machine['commit']}, {machine['date']}.",
             f"Medians of {settings['rounds']} interleaved rounds of {settings['duration_s']:g} s; "
             f"load from the same machine, {settings['load_threads']} thread(s).",
             "Penstock runs with `sinks = []`: its journal recycles, and nothing reads it.",
             "The append floor syncs as many events at once as there are under way."]
    if settings["fsync_delay_ms"]:
        lines.append(f"Each fsync of the durable servers takes {settings['fsync_delay_ms']:g} ms "
                     "longer.")
    lines += [f"Left out: {name}: {why}" for name, why in result["missing"].items()]
    for name, case in result["cases"].items():
        lines += ["", f"### {name}: {result['titles'][name]}", "", *table(case)]
        if notes := remarks(case):
            lines += ["", *notes]
    return "\n".join(lines)
