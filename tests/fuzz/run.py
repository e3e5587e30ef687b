#!/usr/bin/env python3
"""Runs fuzz targets that are built, and tells for each how many inputs it was given, how much of
the code they reached, and what was found. Called by scripts/fuzz and by ctest."""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
# Of a target's process; and of one allocation, whatever a length in the input says.
MAX_RSS_MB = 1024
MAX_ALLOCATION_MB = 64
MAX_INPUT_BYTES = 4096
# An input that takes longer is a finding.
INPUT_TIMEOUT_S = 20
# A planted fault must be found in this time.
PLANTED_S = 60


class Outcome:
    def __init__(self):
        self.inputs = self.edges = self.features = 0
        self.cpu_s = 0.0
        self.found = []
        self.failed = False
        self.log = ""


def run_once(program, name, work, seconds, out):
    """One run of a target; adds to `out`."""
    corpus, findings = work / "corpus" / name, work / "findings" / name
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    command = [
        program, f"-max_total_time={seconds}", f"-rss_limit_mb={MAX_RSS_MB}",
        f"-malloc_limit_mb={MAX_ALLOCATION_MB}", f"-timeout={INPUT_TIMEOUT_S}",
        f"-max_len={MAX_INPUT_BYTES}", f"-artifact_prefix={findings}/", "-print_final_stats=1",
        "-verbosity=1"]
    words = HERE / "dictionaries" / f"{name}.dict"
    if words.exists():
        command.append(f"-dict={words}")
    # The first directory gets what was new; the repository's inputs are only read.
    command += [corpus, HERE / "corpus" / name]
    environment = dict(os.environ)
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    environment.setdefault("LSAN_OPTIONS", f"suppressions={HERE.parent / 'lsan.supp'}")
    log = work / f"{name}.log"
    with open(log, "wb") as to:
        process = subprocess.Popen([str(word) for word in command], stdout=to, stderr=to,
                                   env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    text = log.read_text(errors="replace")
    out.log = text
    out.cpu_s += usage.ru_utime + usage.ru_stime
    counts = re.findall(r"stat::number_of_executed_units: +(\d+)", text)
    progress = re.findall(r"^#(\d+)\s.*cov: (\d+) ft: (\d+)", text, re.M)
    out.inputs += int(counts[-1]) if counts else int(progress[-1][0]) if progress else 0
    if progress:
        out.edges, out.features = int(progress[-1][1]), int(progress[-1][2])
    out.found += sorted(set(findings.iterdir()) - before)
    out.failed = out.failed or status != 0


def run_target(program, name, work, cpu_s):
    """Until the time is used up, on however busy a machine, or something is found."""
    out = Outcome()
    while out.cpu_s < cpu_s and not out.failed:
        left = max(1, round(cpu_s - out.cpu_s))
        run_once(program, name, work, left, out)
    return out


def tell(name, out):
    print(f"{name:18} {out.inputs:>12,} {out.cpu_s:>8.1f} {out.edges:>7} {out.features:>9} "
          f"{len(out.found) if out.found else ('failed' if out.failed else 0)!s:>8}", flush=True)


def tell_findings(out):
    for finding in out.found:
        print(f"  found by {finding}")
    lines = out.log.splitlines()
    marks = [i for i, line in enumerate(lines)
             if re.search(r"Not true|Assertion|ERROR: |runtime error|DEADLYSIGNAL", line)]
    start = marks[0] if marks else max(0, len(lines) - 20)
    shown = [line for line in lines[start:]
             if not re.match(r"\s*#\d+ .*(fuzzer::|/libc\.so|libc-start|csu/|pthread|_start)", line)]
    print("\n".join("  " + line[:160] for line in shown[:16]), flush=True)


def main():
    arguments = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    arguments.add_argument("--built", type=pathlib.Path, help="where the programs are; builds nothing")
    arguments.add_argument("--minutes", type=float, default=1, help="CPU time of each target (1)")
    arguments.add_argument("--seconds", type=float, help="the same in seconds")
    arguments.add_argument("--planted", action="store_true",
                           help="expect each target to find a fault, and say after how many inputs")
    arguments.add_argument("targets", nargs="*", metavar="TARGET")
    given = arguments.parse_args()
    built = (given.built or HERE.parent.parent / "build/fuzz/tests/fuzz").resolve()
    known = sorted(path.name for path in (HERE / "corpus").iterdir()
                   if os.access(built / f"fuzz_{path.name}", os.X_OK))
    unknown = [name for name in given.targets if name not in known]
    if unknown or not known:
        print(f"no such target: {', '.join(unknown) or 'none is built'}; "
              f"there are {', '.join(known)}", file=sys.stderr)
        return 64
    seconds = given.seconds or given.minutes * 60
    if given.planted:
        seconds = PLANTED_S
    print(f"{'target':18} {'inputs':>12} {'CPU s':>8} {'edges':>7} {'features':>9} {'findings':>8}")
    wrong = 0
    for name in given.targets or known:
        began = time.monotonic()
        out = run_target(built / f"fuzz_{name}", name, built, seconds)
        tell(name, out)
        if given.planted:
            if out.found:
                print(f"  the planted fault was found after {time.monotonic() - began:.0f} s")
            wrong += not out.found
        elif out.failed:
            tell_findings(out)
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
