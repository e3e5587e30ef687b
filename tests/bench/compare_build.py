"""Builds another revision of this project beside this one, with the same options."""

import os
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What a build with warnings as errors or without tests has makes no other program.
COPIED = re.compile(r"^(CMAKE_BUILD_TYPE|CMAKE_CXX_COMPILER|CMAKE_CXX_FLAGS|CMAKE_EXE_LINKER_FLAGS|"
                    r"PENSTOCK_(?!WERROR|.*TESTS)\w+):\w+=(.+)$")


class Failed(Exception):
    """Says what could not be done."""


def run(command, **more):
    # What is compiled prints to where progress goes: stdout is for the results.
    done = subprocess.run([str(part) for part in command], stdout=2, **more)
    if done.returncode != 0:
        raise Failed(f"{command[0]} failed: {' '.join(str(part) for part in command)}")


def commit_of(revision):
    done = subprocess.run(["git", "rev-parse", "--verify", "--quiet", revision + "^{commit}"],
                          cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"git knows no revision {revision!r}")
    return done.stdout.strip()


def described(tree):
    """The commit of a working tree, marked if something in it was changed."""
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=tree,
                          capture_output=True, text=True)
    return done.stdout.strip()


def options_of(cache_text):
    """The options of a build that change the program, from its CMakeCache.txt, for another."""
    found = []
    for line in cache_text.splitlines():
        if match := COPIED.match(line):
            found.append(f"-D{match.group(1)}={match.group(2)}")
    return found


def export(commit, tree):
    """The files of a commit. It is no working tree of git's, so nothing is registered that would
    have to be cleaned up, and nothing in it can differ from the commit."""
    if tree.exists():
        return
    half = tree.with_suffix(".part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    archive = subprocess.Popen(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        run(["tar", "-x", "-C", half], stdin=archive.stdout)
    finally:
        archive.stdout.close()
        if archive.wait() != 0:
            raise Failed(f"git archive {commit} failed")
    half.rename(tree)


def build(revision, beside, targets):
    """Builds a revision in build/compare/COMMIT, which is kept for the next time; gives the build's
    directory. `beside`: the build whose options it takes."""
    commit = commit_of(revision)
    tree = ROOT / "build/compare" / commit[:12]
    export(commit, tree)
    out = tree / "build/release"
    # Paths as seen from the tree, so that ccache finds what another tree compiled.
    environment = {**os.environ, "CCACHE_BASEDIR": str(tree), "CCACHE_NOHASHDIR": "1"}
    if not (out / "build.ninja").exists():
        cache = (beside / "CMakeCache.txt").read_text()
        run(["cmake", "--preset", "release", *options_of(cache)], cwd=tree, env=environment)
    run(["cmake", "--build", "--preset", "release", "-j2", "--target", *targets], cwd=tree,
        env=environment)
    return out
