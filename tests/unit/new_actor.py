#!/usr/bin/env python3
"""scripts/new-actor, in a copy of the headers that it reads: what it writes, which ids it takes, and
what it refuses. That an actor of the list is started, shown and drained by a node is for
tests/unit/cli/node/extension_test.cpp to say: compiling a node here would take longer than all other
checks together."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FILES = ["actors/usage/{}_actor.hpp", "actors/usage/{}_actor.cpp", "tests/unit/actors/usage/{}_actor_test.cpp"]


def check(held, what):
    if not held:
        sys.exit(f"failed: {what}")


def copy_headers(source, root):
    for path in [source / "scripts/new-actor",
                 source / "actors/extensions/extensions.inc",
                 *(p for layer in ("storage", "actors", "net") for p in (source / layer).rglob("*.hpp"))]:
        into = root / path.relative_to(source)
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, into)


def new_actor(root, word):
    place = word if word.startswith("-") else f"usage/{word}"
    return subprocess.run([root / "scripts/new-actor", place], capture_output=True, text=True)


def snapshot(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def ids(root):
    """The blocks of message ids, as (first, one past the last), sorted."""
    found = []
    for path in root.rglob("*.hpp"):
        text = path.read_text()
        for name, at in re.findall(r"ID_BLOCK\((\w+), caf::first_custom_type_id(?: \+ (\d+))?\)", text):
            first = int(at or 0)
            found.append((first, first + text.count(f"CAF_ADD_TYPE_ID({name},")))
    return sorted(found)


def writes_an_actor(root):
    before = ids(root)
    for name in ("audit", "disk_watch", "audit2"):
        made = new_actor(root, name)
        check(made.returncode == 0, f"{name}: {made.stderr}")
        for file in FILES:
            path = root / file.format(name)
            check(path.is_file(), f"{path.name} was written")
            check("@" not in path.read_text(), f"{path.name} has no holes")
            check(str(path.relative_to(root)) in made.stdout, f"{path.name} is told")
        for said in ("--target actor_tests", f'"[{name}]"', "actors/extensions/extensions.inc"):
            check(said in made.stdout, f"says {said}")
        source = (root / FILES[1].format(name)).read_text()
        check(f"extension {name}_extension() {{" in source, f"{name} defines what its line stands for")
        check(f'"penstock_{name}_notes_total"' in source, f"{name} registers its figures")
    lines = (root / "actors/extensions/extensions.inc").read_text().splitlines()
    check([line for line in lines if line.startswith("PENSTOCK_EXTENSION(")]
          == [f"PENSTOCK_EXTENSION({name})" for name in ("audit", "disk_watch", "audit2")],
          f"each has a line in the list: {lines}")
    after = ids(root)
    check(len(after) == len(before) + 3, "each has a block of its own")
    check(all(a[1] <= b[0] for a, b in zip(after, after[1:])), f"no two blocks overlap: {after}")


def refuses(root):
    before = snapshot(root)
    reasons = {
        "Audit": "no name", "9lives": "no name", "a__b": "no name", "../evil": "no name",
        "x" * 33: "no name",
        "thing_actor": 'leave "_actor" away',
        "retention": "already", "audit": "already", "sink": "already",
    }
    for name, why in reasons.items():
        got = new_actor(root, name)
        check(got.returncode != 0 and why in got.stderr, f'"{name}" is refused: {got.stderr}')
    (root / FILES[2].format("lonely")).write_text("mine\n")
    got = new_actor(root, "lonely")
    check(got.returncode != 0 and "there already" in got.stderr, "a test that is there is kept")
    (root / FILES[2].format("lonely")).unlink()
    for place in ("lonely", "nowhere/lonely"):
        got = subprocess.run([root / "scripts/new-actor", place], capture_output=True, text=True)
        check(got.returncode != 0 and "in which room" in got.stderr, f"{place}: {got.stderr}")
    check(snapshot(root) == before, "what is refused writes nothing")


def runs_out_of_ids(root):
    name = "latest"
    check(new_actor(root, name).returncode == 0, "one more")
    header = root / FILES[0].format(name)
    header.write_text(re.sub(r"type_id \+ \d+", "type_id + 990", header.read_text()))
    got = new_actor(root, "too_late")
    check(got.returncode != 0 and "no free block" in got.stderr, f"says so: {got.stderr}")
    check(header.name in got.stderr, "and who has the last")
    check(not (root / FILES[0].format("too_late")).exists(), "and writes nothing")


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        copy_headers(pathlib.Path(sys.argv[1]), root)
        writes_an_actor(root)
        refuses(root)
        runs_out_of_ids(root)
        help_text = new_actor(root, "--help")
        check(help_text.returncode == 0 and "example:" in help_text.stdout, "--help has an example")
    print("ok")


if __name__ == "__main__":
    main()
