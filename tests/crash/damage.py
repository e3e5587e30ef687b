#!/usr/bin/env python3
"""The damage test: searches for damage to a data directory that costs something in silence.

The tool (tests/crash/damage) damages copies of data directories in thousands of ways, starts on each with
the node's own storage code, and judges by its own book of what was promised. Of every so many cases the
program itself is started here, too, and judged by the same book.

Exit: 0 as it should be, 1 not. A case is repeated with --seed S --case N."""

import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import harness  # noqa: E402
from harness import Node, body_of, wait_for  # noqa: E402

EX_DATA, EX_UNAVAILABLE = 65, 69
STREAMS = ["default", "errors", "usage-pings"]
READY_S = 30.0
RANGE = re.compile(r"(?:after ([0-9a-f]{16})-\w{8})?(?: and )?(?:before ([0-9a-f]{16})-\w{8})?")
NUMBERED = re.compile(r"/damaged/\d+.*|far beyond, at .*")


def contents(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "dir"
            for p in sorted(folder.rglob("*"))}


def named_ranges(text):
    """Pairs of numbers, both excluded, between which events are said to be lost."""
    for after, before in RANGE.findall(text):
        if after or before:
            yield int(after or "0", 16), int(before or "f" * 16, 16)
    if "(no other segment tells which)" in text:
        yield 0, 1 << 64


class Case:
    """One damaged directory and the program."""

    def __init__(self, folder):
        self.book = json.loads((folder / "book.json").read_text())
        self.data = folder / "data"
        self.faults = []

    def fault(self, what, detail):
        if not self.book["excused"].get(what):
            self.faults.append(f"{what}: {detail}")

    def run(self):
        before = contents(self.data)
        told = subprocess.run([harness.binary, "check", "--data", str(self.data), "--json"], capture_output=True,
                              text=True, timeout=60, check=False)
        if told.returncode not in (0, EX_DATA):
            self.fault("check failed", f"{told.returncode} {told.stderr}")
        if contents(self.data) != before:
            self.fault("check changed bytes", "")
        node = Node({"log.level": "info"}, data_dir=self.data)
        try:
            verdict = self.start(node, json.loads(told.stdout or "{}"))
        finally:
            node.close()
        return verdict

    def is_ready(self, node):
        """False when it refuses to start."""
        node.launch()
        wait_for(lambda: node.process.poll() is not None or node.is_ready(), "it starts or refuses", READY_S)
        return node.process.poll() is None

    def start(self, node, told):
        if not self.is_ready(node):
            if node.process.returncode not in (EX_DATA, EX_UNAVAILABLE):
                self.fault("refused with another code", node.process.returncode)
            if f"can't start: {self.data}/" not in node.log():
                self.fault("refused without a file", node.log()[-300:])
            return "refused"
        delivered = [message for stream in STREAMS for message in node.drain_queue(stream)]
        self.judge_events(delivered, list(named_ranges(node.log())))
        self.judge_stores(node)
        for sentence in told.get("damaged", []):
            # A node alone opens no replicas, and reads a letter when it is used.
            if "/replicas/" in sentence or "dead letters, the first of them" in sentence:
                continue
            if NUMBERED.sub("", sentence) not in node.log():
                self.fault("check said more than start", sentence)
        known = {message["id"] for message in delivered} | self.book["events"].keys()
        new = node.post(b"after the damage").json()["id"]
        if new in known:
            self.fault("id used again", new)
        node.kill()
        if not self.is_ready(node):
            self.fault("the next start refuses", node.log()[-300:])
        elif [message["id"] for message in node.drain_queue("default")] != [new]:
            self.fault("new event lost", new)
        return "told" if told.get("damaged") or told.get("torn") else "whole"

    def judge_events(self, delivered, lost):
        events = self.book["events"]
        for message in delivered:
            sent = events.get(message["id"])
            if sent is None:
                self.fault("strange event", message["id"])
            elif (body_of(message).decode(), message["content_type"]) != (sent["body"], sent["type"]):
                self.fault("event changed", message["id"])
        got = {message["id"] for message in delivered}
        missing = [i for i, event in events.items() if not event["delivered"] and i not in got
                   and not any(after < int(i[:16], 16) < before for after, before in lost)]
        if missing:
            self.fault("event lost", f"{len(missing)}, the first is {missing[0]}")

    def judge_stores(self, node):
        said = node.log()
        keys = {key["id"]: bool(key.get("revoked"))
                for key in node.admin("GET", "/v1/admin/keys?all=true").json()["keys"]}
        for name, revoked in self.book["revoked"].items():
            if revoked and keys.get(name) is False:
                self.fault("revoked key valid", name)
            if not revoked and name not in keys and "accounts.db" not in said:
                self.fault("key lost", name)
        letters = {letter["id"] for letter in
                   node.admin("GET", "/v1/admin/dead-letters?limit=1000").json()["dead_letters"]}
        if self.book["letters"].keys() - letters and "dead-letters.db" not in said:
            self.fault("letter lost", len(self.book["letters"].keys() - letters))


def run_program(tool, options, first, cases, every):
    """The share of cases that the program itself is started on; gives the number of faults."""
    faults, verdicts, began = 0, {}, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="penstock-damage-") as folder:
        folder = pathlib.Path(folder)
        subprocess.run([tool, "--seed", str(options.seed), "--first", str(first), "--cases", str(cases), "--every",
                        str(every), "--export", str(folder)], check=True, timeout=600)
        for place in sorted(folder.iterdir(), key=lambda one: int(one.name)):
            case = Case(place)
            verdict = case.run()
            verdict = "SILENT" if case.faults else verdict
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            for fault in case.faults:
                faults += 1
                print(f"case {place.name}: {case.book['what']}\n    by the program: {fault}")
    print(f"by the program itself: {verdicts} in {time.monotonic() - began:.0f} s")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("binary", help="the penstock program")
    parser.add_argument("tool", help="the program damage_search")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--case", type=int, help="only this one, with all that is said")
    parser.add_argument("--every", type=int, default=50, help="of the cases that the program is started on")
    options = parser.parse_args()
    harness.binary = options.binary
    first, cases, every = (options.case, 1, 1) if options.case is not None else (0, options.cases, options.every)
    which = ["--case", str(first)] if options.case is not None else ["--cases", str(cases)]
    print(f"damage test: {cases} cases, seed {options.seed}", flush=True)
    searched = subprocess.run([options.tool, "--seed", str(options.seed), *which], check=False)
    faults = run_program(options.tool, options, first, cases, every)
    return 1 if searched.returncode != 0 or faults else 0


if __name__ == "__main__":
    sys.exit(main())
