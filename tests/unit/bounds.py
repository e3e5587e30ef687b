#!/usr/bin/env python3
"""Each row of the table "Bounds" in docs/architecture.md has a test that drives it to its limit:
tests/bounds.txt names it, and it exists. A line there is: the row's first cell | file | the test's
name, a part of which is enough."""
import pathlib
import re
import sys

CASE = re.compile(r'(?:TEST_CASE|TEST_CASE_METHOD)\s*\(\s*(?:[\w:<>]+\s*,\s*)?((?:"(?:[^"\\]|\\.)*"\s*)+)')
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


def rows_of(page):
    """The first cells of the table below "## Bounds"."""
    section = page.split("\n## Bounds\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    for line in lines:
        first = line.strip("|").split(" | ")[0].strip()
        if first and first != "what" and not set(first) <= set("-|"):
            yield first


def tests_in(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return re.findall(r"def (test_\w+)", text)
    return ["".join(TEXT.findall(found)) for found in CASE.findall(text)]


def problems(root):
    rows = list(rows_of((root / "docs/architecture.md").read_text(encoding="utf-8")))
    for row in sorted({row for row in rows if rows.count(row) > 1}):
        yield f"docs/architecture.md: two rows are called: {row}"
    named = set()
    lines = (root / "tests/bounds.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split("|")]
        where = f"tests/bounds.txt:{number}"
        if len(parts) != 3 or not all(parts):
            yield f"{where}: write: row | file | test"
            continue
        row, file, test = parts
        named.add(row)
        path = root / file
        if row not in rows:
            yield f"{where}: the table has no row: {row}"
        if not path.is_file():
            yield f"{where}: there is no file {file}"
        elif not any(test in name for name in tests_in(path)):
            yield f"{where}: {file} has no test: {test}"
    for row in rows:
        if row not in named:
            yield f"docs/architecture.md: no test in tests/bounds.txt drives the bound: {row}"


def main():
    found = list(problems(pathlib.Path(sys.argv[1])))
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
