#!/usr/bin/env python3
"""What scripts/test does: it chooses tests, builds what they need, and runs them. CMake says what a test
needs: its property REQUIRED_FILES (tests/CMakeLists.txt). A room's tests are found by their files' names,
which Catch2 takes for tags."""
import difflib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HELP = """\
usage: scripts/test [--fast] [NAME...] [-- OPTIONS OF CTEST]

Builds what the tests need and runs them. It installs the packages that are missing.

  scripts/test                       all tests: unit tests with the sanitizers (build/checked), tests
                                     of the program (build/release), and each fuzz target for 3 s
  scripts/test --fast                unit tests but the slow ones, and the checks of sources and
                                     documents, in build/dev: after each change
  scripts/test conservation          one test
  scripts/test 'cluster_.*' drain    all whose whole name fits a regular expression, and one more
  scripts/test --fast limits         unit tests of a room, of whichever layer has one
  scripts/test actors/limiter        the same of one layer's, with the sanitizers
  scripts/test -- --rerun-failed     with options of ctest
  scripts/test -- -N                 names of all tests (it builds first)

NAME is a test, a regular expression of tests' names, or a room (README.md of each layer). What is a
test's name and a room's at once stands for both; LAYER/ROOM is the room alone. --fast knows only the
tests that it would run without a name.

A test case that takes more than a second has the tag [slow] and runs in PROGRAM_slow, not in PROGRAM.
To run any by hand: build/dev/tests/limit_tests "[slow]".
"""
FAST = "dev"
# Tests of the program wait more than they compute.
PARALLEL = 3
MAX_SUGGESTIONS = 3
ROOT = pathlib.Path(__file__).resolve().parent.parent
UNIT = ROOT / "tests/unit"


class Test:
    """A test as ctest tells it, of the build tree `preset`."""

    def __init__(self, preset, told):
        properties = {p["name"]: p["value"] for p in told.get("properties", [])}
        self.preset = preset
        self.name = told["name"]
        self.labels = properties.get("LABELS", [])
        # What it needs of the build, as paths in the tree, which ninja takes for targets.
        tree = ROOT / "build" / preset
        self.needs = [str(pathlib.Path(file).relative_to(tree))
                      for file in properties.get("REQUIRED_FILES", [])]
        self.environment = dict(v.split("=", 1) for v in properties.get("ENVIRONMENT", []))


def fail(why):
    sys.exit(f"scripts/test: {why}")


def run(*command, **options):
    """Runs a command; what it says of its failure is enough."""
    done = subprocess.run(command, cwd=ROOT, check=False, **options)
    if done.returncode:
        sys.exit(done.returncode)
    return done


def parse(arguments):
    """-> fast, names, options of ctest."""
    fast, names = False, []
    while arguments:
        word = arguments.pop(0)
        if word in ("-h", "--help"):
            print(HELP, end="")
            sys.exit(0)
        if word == "--fast":
            fast = True
        elif word == "--":
            return fast, names, arguments
        elif word.startswith("-"):  # as it was before there were names
            return fast, names, [word, *arguments]
        else:
            names.append(word)
    return fast, names, []


def configured_tests(preset):
    """Configures a build tree, and tells the tests that it has."""
    # In CI a warning is an error.
    options = ["-DPENSTOCK_WERROR=ON"] if os.environ.get("CI") else []
    run("cmake", "--preset", preset, *options, stdout=subprocess.DEVNULL)
    told = run("ctest", "--test-dir", f"build/{preset}", "--show-only=json-v1",
               stdout=subprocess.PIPE).stdout
    return [Test(preset, test) for test in json.loads(told)["tests"]]


def presets(fast):
    """Build trees, after what can be done without was installed, too. The test `lint` says what it misses."""
    more = ["format"] if fast else ["format", "fuzz"]
    subprocess.run(["scripts/install-packages", *more], cwd=ROOT, check=False)
    if fast:
        return [FAST]
    if shutil.which("clang++-16"):
        return ["checked", "release"]
    print("SKIPPED: clang-16 is not here, so fuzz targets run only over the inputs they have.",
          file=sys.stderr)
    return ["asan", "release"]


def is_fast(test):
    return "unit" in test.labels and "slow" not in test.labels


def rooms_called(name):
    """The folders of unit tests that a name means: `limits`, `actors/limits` or `sinks/aws`."""
    name = name.strip("/")
    for path in sorted(path for path in UNIT.rglob("*") if path.is_dir()):
        room = path.relative_to(UNIT).as_posix()
        if f"/{room}".endswith(f"/{name}") and any(path.rglob("*_test.cpp")):
            yield path


def program_of(room, tests):
    """The test whose program has the files of a room: the one with the longest folder above them."""
    place = room.relative_to(ROOT / "tests").as_posix()
    above = [(len(label), test) for test in tests if "slow" not in test.labels
             for label in test.labels if f"{place}/".startswith(f"{label}/")]
    return max(above, key=lambda found: found[0])[1]


def choose(names, tests):
    """-> the tests and the rooms that are named. A name that is neither ends the program."""
    chosen, rooms = [], []
    for name in names:
        try:
            fits = [test for test in tests if re.fullmatch(name, test.name)]
        except re.error as error:
            fail(f'"{name}" is no regular expression: {error}')
        found = list(rooms_called(name))
        if not fits and not found:
            known = [test.name for test in tests] + [path.name for path in UNIT.rglob("*") if path.is_dir()]
            near = difflib.get_close_matches(name, sorted(set(known)), MAX_SUGGESTIONS)
            fail(f'there is no test and no room "{name}"'
                 + (" among the fast ones" if all(map(is_fast, tests)) else "")
                 + (f"; did you mean {' or '.join(near)}?" if near else ""))
        chosen += [test for test in fits if test not in chosen]
        rooms += [room for room in found if room not in rooms]
    return chosen, rooms


def build(tests):
    for preset in sorted({test.preset for test in tests}):
        needs = sorted({need for test in tests if test.preset == preset for need in test.needs})
        if needs:
            print(f"Building {preset} …", file=sys.stderr)
            run("cmake", "--build", "--preset", preset, "--target", *needs)


def run_room(room, test, fast):
    """A room's test cases alone; with `fast`, without the slow ones."""
    files = sorted({path.stem for path in room.rglob("*_test.cpp")})
    cases = ",".join(f"[#{file}]" + ("~[slow]" if fast else "") for file in files)
    print(f"{room.relative_to(ROOT)}:", flush=True)
    program = ROOT / "build" / test.preset / test.needs[0]
    return subprocess.run([program, "--filenames-as-tags", cases], cwd=ROOT, check=False,
                          env={**os.environ, **test.environment}).returncode


def run_tests(trees, selection, options):
    """By ctest, with one summary over all trees."""
    (ROOT / "build/CTestTestfile.cmake").write_text(f"subdirs({' '.join(trees)})\n", encoding="utf-8")
    return subprocess.run(["ctest", "--test-dir", "build", "--output-on-failure", "--parallel",
                           str(PARALLEL), *selection, *options], cwd=ROOT, check=False).returncode


def main():
    fast, names, options = parse(sys.argv[1:])
    run("scripts/install-packages")
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=1")
    os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    trees = presets(fast)
    tests = [test for tree in trees for test in configured_tests(tree) if not fast or is_fast(test)]
    chosen, rooms = choose(names, tests) if names else (tests, [])
    programs = {room: program_of(room, tests) for room in rooms}
    build([*chosen, *programs.values()])
    failed = [run_room(room, test, fast) for room, test in programs.items()]
    if chosen:
        selection = ["-L", "^unit$", "-LE", "^slow$"] if fast else []
        if names:
            selection = ["-R", "^(" + "|".join(re.escape(test.name) for test in chosen) + ")$"]
        failed.append(run_tests(trees, selection, options))
    return max(failed)


if __name__ == "__main__":
    sys.exit(main())
