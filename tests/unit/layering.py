#!/usr/bin/env python3
"""The layers, storage <- actors <- net <- cli, and the rooms in each. A layer includes only itself and what
stands to its left; storage knows neither CAF nor Asio nor Beast, actors no sockets, and one file includes
sqlite3.h. A layer's README.md has a line for each of its rooms, with the rooms of the layer that it uses:
that is what their files include, and it has no circle. No room has more than MAX_MODULES modules.
Handles of actors are typed (actors/interfaces/): a header has a plain caf::actor only where PLAIN_ACTORS
says why, and only the sources of CASTS assert the type of a handle."""
import pathlib
import re
import sys

LAYERS = ["storage", "actors", "net", "cli"]
FORBIDDEN = {
    "storage": [r"caf/", r"boost/(asio|beast)", r"spdlog/", r"CLI/", r"toml"],
    "actors": [r"boost/(asio|beast)", r"CLI/", r"toml"],
    "net": [r"CLI/", r"toml"],
    "cli": [],
}
# Headers that have plain actors, and why.
PLAIN_ACTORS = {
    "actors/cluster/link_messages.hpp": "they cross the wire, which has no types of actors",
    "net/links/peers_broker.hpp": "CAF's own broker",
    "net/loop/ask.hpp": "the bridge, which only this room knows",
}
# Where a plain actor becomes a handle, and why.
CASTS = {
    "actors/interfaces/handles.hpp": "sender_as: CAF keeps a sender without its type",
    "actors/cluster/peer_handles.cpp": "once a link: what a peer's gate names",
    "cli/node/adopt.cpp": "an actor that blocks has no typed handle",
}
PLAIN_ACTOR = re.compile(r"\bcaf::actor\b")
CAST = re.compile(r"\bactor_cast<(?!caf::(actor|actor_addr|strong_actor_ptr)>)")
# A module is a header with its source, or either alone.
MAX_MODULES = 30
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)[">]')
# A line of a README's table: | `room/` | what it is for | the rooms it uses |
ROOM = re.compile(r"^\| `([\w/]+)/` \| (.+) \| (.*) \|$")


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := INCLUDE.match(line):
            yield number, found.group(1)


def room_of(file):
    """The folder of a file within its layer; "" for what stands in none."""
    return "/".join(pathlib.PurePath(file).parts[1:-1])


def layer_problems(root):
    for place, layer in enumerate(LAYERS):
        for path in sorted((root / layer).rglob("*.[ch]pp")):
            name = path.relative_to(root)
            for number, header in includes(path):
                first = header.split("/")[0]
                if first in LAYERS and LAYERS.index(first) > place:
                    yield f"{name}:{number}: {layer} may not include {header}"
                for pattern in FORBIDDEN[layer]:
                    if re.match(pattern, header):
                        yield f"{name}:{number}: {layer} must not know {header}"
                if header == "sqlite3.h" and str(name) != "storage/sqlite/sqlite.hpp":
                    yield f"{name}:{number}: only storage/sqlite/sqlite.hpp includes sqlite3.h"


def handle_problems(root):
    """Plain actors and casts where there should be none, and reasons that nothing needs any more."""
    plain, casting = set(), set()
    for layer in LAYERS:
        for path in sorted((root / layer).rglob("*.[ch]pp")):
            name = str(path.relative_to(root))
            code = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
            if path.suffix == ".hpp" and PLAIN_ACTOR.search(code):
                plain.add(name)
            if CAST.search(code):
                casting.add(name)
    for name in sorted(plain - PLAIN_ACTORS.keys()):
        yield f"{name}: a caf::actor; give it a typed handle (actors/interfaces/interfaces.hpp)"
    for name in sorted(casting - CASTS.keys()):
        yield f"{name}: casts to a handle; take a typed one from who has it"
    for name in sorted((PLAIN_ACTORS.keys() - plain) | (CASTS.keys() - casting)):
        yield f"tests/unit/layering.py: {name} needs no exception any more"


def told_rooms(readme):
    """What a README says: room -> the rooms it uses."""
    found = {}
    for line in readme.read_text(encoding="utf-8").splitlines():
        if row := ROOM.match(line):
            found[row.group(1)] = set(re.findall(r"[\w/]+", row.group(3)))
    return found


def real_rooms(root, layer):
    """What the files say: room -> the rooms they include from, and how many modules a room has."""
    uses, modules = {}, {}
    for path in sorted((root / layer).rglob("*.[ch]pp")):
        room = room_of(path.relative_to(root))
        uses.setdefault(room, set())
        modules.setdefault(room, set()).add(path.stem)
        for _, header in includes(path):
            if header.split("/")[0] == layer and (other := room_of(header)) != room:
                uses[room].add(other)
    return uses, modules


def circle(uses):
    """Rooms that use each other in a circle, if there are some."""
    state = {}

    def visit(room, way):
        if state.get(room) == "done":
            return None
        if room in way:
            return way[way.index(room):] + [room]
        for other in sorted(uses.get(room, ())):
            if found := visit(other, way + [room]):
                return found
        state[room] = "done"
        return None

    for room in sorted(uses):
        if found := visit(room, []):
            return found
    return None


def room_problems(root):
    for layer in LAYERS:
        uses, modules = real_rooms(root, layer)
        readme = root / layer / "README.md"
        told = told_rooms(readme) if readme.is_file() else {}
        top = uses.pop("", set())
        del top  # what stands in no room puts rooms together
        for room in sorted(uses.keys() | told.keys()):
            if room not in told:
                yield f"{layer}/README.md: no line for {room}/"
            elif room not in uses:
                yield f"{layer}/README.md: there is no {room}/"
            elif told[room] != uses[room] - {""}:
                yield (f"{layer}/README.md: {room}/ uses {', '.join(sorted(uses[room] - {''}))}, "
                       f"not {', '.join(sorted(told[room]))}")
            if "" in uses.get(room, ()):
                yield f"{layer}/{room}: includes what stands in no room"
            if len(modules.get(room, ())) > MAX_MODULES:
                yield f"{layer}/{room}: {len(modules[room])} modules, at most {MAX_MODULES}"
        if found := circle(uses):
            yield f"{layer}: a circle of rooms: {' -> '.join(found)}"


def main():
    root = pathlib.Path(sys.argv[1])
    if sys.argv[2:] == ["--uses"]:  # to bring a README up to date by hand
        for layer in LAYERS:
            for room, others in sorted(real_rooms(root, layer)[0].items()):
                print(f"{layer}/{room}: {', '.join(sorted(others - {''}))}")
        return 0
    found = [*layer_problems(root), *room_problems(root), *handle_problems(root)]
    for problem in found:
        print(problem)
    files = sum(1 for layer in LAYERS for _ in (root / layer).rglob("*.[ch]pp"))
    print(f"{files} files, {len(found)} problems")
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
