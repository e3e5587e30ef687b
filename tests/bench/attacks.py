"""What strangers can do to a node in little memory, and what a client that pays sees of it.

One attack at a time, each against a new node of two lanes in a memory cgroup, with a client that pays
and sends 50 requests a second from another address; then, to another node, the control: as many
connections that send as many valid bytes. The node must stay alive and within its bounds, answer each
paying request with 202, and keep what it promised. Run it through scripts/bench attacks.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import sys

import bench
from attack_node import Cgroup, NoCgroup, harness
from attack_run import attack_and_control, percentiles
from attack_table import ATTACKS

EXIT_BROKEN = 76  # a promise was broken


@dataclasses.dataclass
class Settings:
    duration_s: float = 10.0
    rate: float = 50.0
    settle_s: float = 1.0  # the paying client alone, before and after
    cgroup_bytes: int = 256 << 20  # 0: none
    per_address: int = 64
    with_control: bool = True
    options: dict = dataclasses.field(default_factory=dict)


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench attacks", description=__doc__.splitlines()[0],
        epilog="Example: scripts/bench attacks --attacks bad_lines_200,idle --duration-s 10")
    parser.add_argument("--attacks", default=",".join(ATTACKS), help="see --list")
    parser.add_argument("--list", action="store_true", help="says what each attack is")
    parser.add_argument("--build-dir", type=pathlib.Path, default=bench.ROOT / "build/release")
    parser.add_argument("--duration-s", type=float, default=10.0, help="of each")
    parser.add_argument("--rounds", type=int, default=1, help="attack and control in turns")
    parser.add_argument("--scale", type=int, default=1, help="divides the counts of connections")
    parser.add_argument("--memory-mib", type=int, default=256, help="of the node's cgroup")
    parser.add_argument("--no-cgroup", action="store_true",
                        help="bounds nothing, and watches resident memory instead")
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--per-address", type=int, default=64,
                        help="http.max_connections_per_address, where the build knows it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="configuration of the node; may be repeated")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    arguments = parser.parse_args()
    arguments.attacks = arguments.attacks.split(",")
    for name in arguments.attacks:
        if name not in ATTACKS:
            parser.error(f"no such attack: {name}; there are: {', '.join(ATTACKS)}")
    return arguments


def value_of(text):
    """A setting as the configuration has it: JSON where it is some, else a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def settings_of(arguments):
    memory = arguments.memory_mib << 20
    if not arguments.no_cgroup:
        try:
            Cgroup(memory).close()
        except NoCgroup as why:
            bench.say(f"{why}: run as root, or with --no-cgroup, which only watches")
            sys.exit(69)
    pairs = (each.split("=", 1) for each in arguments.set)
    return Settings(arguments.duration_s, cgroup_bytes=0 if arguments.no_cgroup else memory,
                    per_address=arguments.per_address, with_control=not arguments.no_control,
                    options={key: value_of(value) for key, value in pairs})


def merged(rounds):
    """The rounds of one attack or control as one: latencies together, faults each once."""
    latencies = [each for one in rounds for each in one["latencies_ms"]]
    faults = []
    for one in rounds:
        faults += [fault for fault in one["faults"] if fault not in faults]
    return {"rounds": rounds, "faults": faults, **percentiles(latencies),
            "alive": all(one["alive"] for one in rounds),
            "peak_rss_bytes": max(one["peak_rss_bytes"] for one in rounds),
            "sent": sum(one["paying"]["sent"] for one in rounds),
            "good": sum(one["paying"]["status"].get("202", 0) for one in rounds),
            "bytes": sum(each["sent_bytes"] for one in rounds for each in one["sent"]),
            "open": max(each["most_open"] for one in rounds for each in one["sent"])}


def shown(value, digits=1):
    return "–" if value is None else f"{value:,.{digits}f}"


HEADER = ["| attack | connections | MB sent | alive | MiB at most | 202 of paying | p50 ms | p99 ms | "
          "p99 beside valid | |", "|---|---|---|---|---|---|---|---|---|---|"]


def row(name, attacked, controlled):
    beside = controlled["p99_ms"] if controlled else None
    return (f"| {name} | {attacked['open']:,} | {attacked['bytes'] / 1e6:,.1f} | "
            f"{'yes' if attacked['alive'] else '**no**'} | {attacked['peak_rss_bytes'] >> 20} | "
            f"{attacked['good']} of {attacked['sent']} | {shown(attacked['p50_ms'])} | "
            f"{shown(attacked['p99_ms'])} | {shown(beside)} | "
            f"{'**' + str(len(attacked['faults'])) + '**' if attacked['faults'] else 'holds'} |")


def main():
    arguments = parse_arguments()
    if arguments.list:
        print("\n".join(f"{name}: {each.what}" for name, each in ATTACKS.items()))
        return 0
    harness.binary = str((arguments.build_dir / "penstock").resolve())
    if not os.access(harness.binary, os.X_OK):
        bench.say(f"{harness.binary} is not there: build it")
        return 69
    settings = settings_of(arguments)
    found = {}
    rows = []
    for name in arguments.attacks:
        bench.say(f"{name}: {ATTACKS[name].what}")
        rounds = [attack_and_control(ATTACKS[name], settings, arguments.scale)
                  for _ in range(arguments.rounds)]
        attacked = merged([one for one, _ in rounds])
        controlled = merged([one for _, one in rounds]) if settings.with_control else None
        found[name] = {"attack": attacked, "control": controlled}
        rows.append(row(name, attacked, controlled))
        bench.say("  " + rows[-1])
        for fault in attacked["faults"]:
            bench.say(f"  FAULT: {fault}")
        for fault in controlled["faults"] if controlled else []:
            bench.say(f"  (control: {fault})")
    machine = bench.machine()
    memory = f"{arguments.memory_mib} MiB by cgroup" if settings.cgroup_bytes else "no cgroup"
    print(f"Commit {machine['commit']}, {machine['cores']} cores of {machine['cpu']}; {memory}; "
          f"{arguments.rounds} round(s) of {arguments.duration_s:g} s.\n")
    print("\n".join([*HEADER, *rows]))
    broken = {name: each["attack"]["faults"] for name, each in found.items()
              if each["attack"]["faults"]}
    print("\n" + "\n".join(f"- {name}: {fault}" for name, faults in broken.items()
                           for fault in faults))
    if arguments.json:
        arguments.json.write_text(json.dumps(
            {"machine": machine, "settings": dataclasses.asdict(settings), "attacks": found},
            indent=1) + "\n")
    return EXIT_BROKEN if broken else 0


if __name__ == "__main__":
    sys.exit(main())
