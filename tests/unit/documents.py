#!/usr/bin/env python3
"""What documents say of the repository and a program can check: links lead somewhere, files that are named
are there, docs/decisions/README.md lists each decision, docs/add-an-actor.md names each source that spawns
actors, docs/glossary.md only names that the code has, and no two blocks of message ids overlap (`--ids` prints them). Decisions tell of their time and may
name files that are gone."""
import pathlib
import re
import sys

LAYERS = ("storage", "actors", "net", "cli")
# Where people read; samples under tests/data are not ours.
PAGES = ("*.md", "docs/*.md", "docs/*/*.md", "cluster-config/*.md", *(f"{layer}/README.md" for layer in LAYERS))
FOLDERS = (*LAYERS, "tests", "docs", "scripts", "cluster-config")
LINK = re.compile(r"\]\(([^)\s]+)\)")
QUOTED = re.compile(r"`([^`\s]+)`")
FENCE = re.compile(r"^\s*```.*?^\s*```", re.MULTILINE | re.DOTALL)
SOURCE = re.compile(r"[\w-]+\.(?:cpp|hpp|py)")
# `KIND_sink.cpp`, `tests/fuzz/NAME.cpp`: capitals stand for something.
PLACEHOLDER = re.compile(r"[A-Z]{2,}(?!\w*\.md)|[*<>{}…]")
DECISION = re.compile(r"(\d{3})-[\w-]+\.md")
ROW = re.compile(r"^\| \[(\d{3})\]\(([\w.-]+)\) \| (\d{4}-\d{2}-\d{2}) \| (.+?) \| (.+) \|$", re.MULTILINE)
STATUS = re.compile(r"in force|superseded (?:in part )?by \[\d{3}\]")
WORD = re.compile(r"[a-z]\w*")
SPAWN = re.compile(r"\bspawn(?:_hosted)?\s*[<(]")
BLOCK = re.compile(r"BEGIN_TYPE_ID_BLOCK\((\w+), caf::first_custom_type_id(?: \+ (\d+))?\)")


def pages(root):
    return sorted({path for pattern in PAGES for path in root.glob(pattern)})


def anchors(text):
    """The names of a page's headings, as GitHub makes them."""
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def link_problems(root, page, text):
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if not target.exists():
            yield f"{page.relative_to(root)}: the link {link} leads nowhere"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{page.relative_to(root)}: there is no heading for the link {link}"


def name_problems(root, page, text, names):
    """Files and folders in backticks: `actors/queue/queue_state.hpp`, `queue_state.hpp`, `actors/queue/`."""
    for name in QUOTED.findall(text):
        if PLACEHOLDER.search(name):
            continue
        below = name.split("/")[0] in FOLDERS
        if below and (re.search(r"/.*\.\w+$", name) or name.endswith("/")):
            there = (root / name).exists()
        else:
            there = not SOURCE.fullmatch(name) or name in names
        if not there:
            yield f"{page.relative_to(root)}: there is no {name}"


def page_problems(root):
    names = {path.name for folder in FOLDERS for path in (root / folder).rglob("*.*")}
    for page in pages(root):
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        yield from link_problems(root, page, text)
        if not DECISION.fullmatch(page.name) and page.name != "CHANGELOG.md":
            yield from name_problems(root, page, text, names)


def decision_problems(root):
    folder = root / "docs/decisions"
    files = sorted(path.name for path in folder.glob("*.md") if path.name != "README.md")
    index = (folder / "README.md").read_text(encoding="utf-8")
    rows = ROW.findall(index)
    if len(rows) != sum(line.startswith("| [") for line in index.splitlines()):
        yield "docs/decisions/README.md: write: | [NNN](FILE) | YYYY-MM-DD | title | status |"
    listed = [file for _, file, *_ in rows]
    for file in files:
        found = DECISION.fullmatch(file)
        if not found:
            yield f"docs/decisions/{file}: call it NNN-words.md"
        elif sum(other.startswith(found[1]) for other in files) > 1:
            yield f"docs/decisions/{file}: another decision has the number {found[1]}"
        if listed.count(file) != 1:
            yield f"docs/decisions/README.md: a line for {file}, and one only"
    for number, file, _, title, status in rows:
        if file not in files:
            continue  # a link that leads nowhere
        heading = (folder / file).read_text(encoding="utf-8").splitlines()[0]
        if not re.fullmatch(rf"# {number}:? {re.escape(title)}", heading):
            yield f'docs/decisions/README.md: {file} says "{heading}", not "{number} {title}"'
        if not STATUS.match(status):
            yield f'docs/decisions/README.md: {number} is "in force" or "superseded (in part) by [NNN]…"'


def spawn_problems(root):
    """The table "Where actors begin" in docs/add-an-actor.md names the sources that spawn, and no other."""
    page = (root / "docs/add-an-actor.md").read_text(encoding="utf-8")
    section = page.partition("Where actors begin:")[2].partition("\n\n#")[0]
    told = {name for name in QUOTED.findall(section) if SOURCE.search(name)}
    real = {path.relative_to(root).as_posix() for layer in LAYERS for path in (root / layer).rglob("*.cpp")
            if SPAWN.search(re.sub(r"//.*", "", path.read_text(encoding="utf-8")))}
    for name in sorted(real - told):
        yield f'docs/add-an-actor.md: "Where actors begin" does not name {name}'
    for name in sorted(told - real):
        yield f"docs/add-an-actor.md: {name} spawns no actor"


def exception_problems(root):
    """Each behaviour of an actor that no event loop hosts calls end_process_on_exception, as
    docs/add-an-actor.md says: without it an exception ends that actor alone, in silence."""
    sources = {path: path.read_text(encoding="utf-8") for layer in LAYERS for path in (root / layer).rglob("*.cpp")}
    hosted = {name for text in sources.values()
              for name in re.findall(r"spawn_hosted<[\w:, ]+>\(.*?return (\w+)\(self", text, re.DOTALL)}
    for path, text in sorted(sources.items()):
        for name in re.findall(r"^(?:caf::behavior|\w+::behavior_type)\s+(\w+)\(", text, re.MULTILINE):
            if name not in hosted and "end_process_on_exception(self)" not in text:
                yield f"{path.relative_to(root)}: {name} does not call end_process_on_exception"


def glossary_problems(root):
    words = {word for layer in LAYERS for path in (root / layer).rglob("*.hpp")
             for word in WORD.findall(path.read_text(encoding="utf-8"))}
    for name in QUOTED.findall((root / "docs/glossary.md").read_text(encoding="utf-8")):
        if WORD.fullmatch(name) and name not in words:
            yield f"docs/glossary.md: no header has the name {name}"


def id_blocks(root):
    """Blocks of message ids, as (first, one past the last, name, header), sorted."""
    found = []
    for path in sorted(path for layer in LAYERS for path in (root / layer).rglob("*.hpp")):
        text = path.read_text(encoding="utf-8")
        for name, at in BLOCK.findall(text):
            first = int(at or 0)
            found.append((first, first + text.count(f"CAF_ADD_TYPE_ID({name},"), name,
                          path.relative_to(root).as_posix()))
    return sorted(found)


def id_problems(root):
    blocks = id_blocks(root)
    for before, after in zip(blocks, blocks[1:]):
        if before[1] > after[0]:
            yield f"{before[3]}: {before[2]} has ids up to {before[1] - 1}; {after[2]} begins at {after[0]}"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    if sys.argv[2:] == ["--ids"]:
        for first, end, name, header in id_blocks(root):
            print(f"{first:4} to {end - 1:4}  {name:28} {header}")
        return 0
    found = [*page_problems(root), *decision_problems(root), *spawn_problems(root), *exception_problems(root),
             *glossary_problems(root), *id_problems(root)]
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
