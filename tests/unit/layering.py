#!/usr/bin/env python3
"""The layers: storage <- actors <- net <- cli. Each includes only itself and what stands to its
left; storage knows neither CAF nor Asio nor Beast, actors no sockets, and one file includes
sqlite3.h. Also: nothing of ours is an endless file."""
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
MAX_LINES = 450
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)[">]')


def problems(root):
    for place, layer in enumerate(LAYERS):
        for path in sorted((root / layer).rglob("*.[ch]pp")):
            lines = path.read_text(encoding="utf-8").splitlines()
            name = path.relative_to(root)
            if len(lines) > MAX_LINES:
                yield f"{name}: {len(lines)} lines; a file has one job and at most {MAX_LINES}"
            for number, line in enumerate(lines, 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                header = found.group(1)
                first = header.split("/")[0]
                if first in LAYERS and LAYERS.index(first) > place:
                    yield f"{name}:{number}: {layer} may not include {header}"
                for pattern in FORBIDDEN[layer]:
                    if re.match(pattern, header):
                        yield f"{name}:{number}: {layer} must not know {header}"
                if header == "sqlite3.h" and str(name) != "storage/sqlite/sqlite.hpp":
                    yield f"{name}:{number}: only storage/sqlite/sqlite.hpp includes sqlite3.h"


def main():
    root = pathlib.Path(sys.argv[1])
    found = list(problems(root))
    for problem in found:
        print(problem)
    files = sum(1 for layer in LAYERS for _ in (root / layer).rglob("*.[ch]pp"))
    print(f"{files} files, {len(found)} problems")
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
