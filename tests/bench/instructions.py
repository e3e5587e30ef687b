"""Counts the instructions of the limiter's and the journal's benchmarks with callgrind.

Instructions are the same on a busy machine as on an idle one, so one run of each is enough.
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import tempfile

from compare_build import Failed

TIMEOUT_S = 3600
# Program → its arguments. The number of checks is the program's own, so that builds made before an
# argument was there count the same work.
BENCHMARKS = {
    "limiter_bench": ["20000", "json"],
    "journal_bench": ["{folder}", "500"],
}
TARGETS = list(BENCHMARKS)


def counted(out_file):
    """The instructions in what callgrind wrote."""
    for line in out_file.read_text().splitlines():
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise Failed(f"{out_file} has no total: callgrind did not end as it should")


def count(program, arguments, scratch):
    folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    out = folder / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--quiet",
               str(program), *(part.format(folder=folder) for part in arguments)]
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              timeout=TIMEOUT_S)
        if done.returncode != 0:
            raise Failed(f"{program.name} under callgrind: {done.stderr.strip()[-500:]}")
        return counted(out)
    except subprocess.TimeoutExpired:
        raise Failed(f"{program.name} under callgrind took over {TIMEOUT_S} s") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compared(this, that, scratch, names=TARGETS):
    """{program: {"this": n, "that": n, "ratio": r}} for two build directories."""
    if not shutil.which("valgrind"):
        raise Failed("valgrind is not installed: scripts/install-packages bench")
    programs = {(name, side): build / "tests/bench" / name
                for name in names for side, build in (("this", this), ("that", that))}
    for program in programs.values():
        if not os.access(program, os.X_OK):
            raise Failed(f"{program} is not built")
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        waiting = {key: pool.submit(count, program, BENCHMARKS[key[0]], scratch)
                   for key, program in programs.items()}
        found = {key: each.result() for key, each in waiting.items()}
    return {name: {"this": found[name, "this"], "that": found[name, "that"],
                   "ratio": found[name, "this"] / found[name, "that"]} for name in names}


def lines(found):
    out = ["| benchmark | instructions, this | that | this to that |",
           "|---|---|---|---|"]
    for name, each in found.items():
        out.append(f"| {name} | {each['this']:,} | {each['that']:,} | {each['ratio']:.4f} "
                   f"({(each['ratio'] - 1) * 100:+.2f}%) |")
    return out
