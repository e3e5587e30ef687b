#!/usr/bin/env python3
"""Commands that README.md and docs/ print: the program has each subcommand and option that they name.
What they do is for the other tests to say."""

import functools
import pathlib
import re
import subprocess
import unittest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["*.md", "docs/*.md", "docs/sinks/*.md", "cluster-config/*"]
# `penstock consume errors --max 1`, within a line of text or of a console; "penstock" by itself is a word.
COMMAND = re.compile(r"(?:(?<=[`$|])|(?<=\$ )|^ *)(?:[\w/.-]+/)?penstock ([a-z][\w-]*)((?: [^`|;&)#\n]*)?)", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


@functools.cache
def help_of(*words):
    """What the program says of a subcommand; None if there is no such."""
    told = subprocess.run([harness.binary, *words, "--help"], capture_output=True, text=True, timeout=30, check=False)
    return told.stdout if told.returncode == 0 else None


def problems_of(command, rest):
    """What a printed command has that the program has not."""
    told = help_of(command)
    if told is None: return [f"no subcommand {command}"]
    word = rest.split()[0] if rest.split() else ""
    below = help_of(command, word) if re.fullmatch(r"[a-z][a-z-]+", word) else None
    known = set(OPTION.findall(told + (below or "")))
    return [f"{command} has no {option}" for option in OPTION.findall(rest) if option not in known]


class Printed(unittest.TestCase):
    def test_each_command_is_one_of_the_program(self):
        found = 0
        wrong = []
        for page in sorted({page for pattern in PAGES for page in ROOT.glob(pattern) if page.is_file()}):
            if page.name == "CHANGELOG.md": continue # it tells of what was, too
            text = page.read_text(encoding="utf-8")
            for printed in COMMAND.finditer(text):
                found += 1
                line = text.count("\n", 0, printed.start()) + 1
                wrong += [f"{page.relative_to(ROOT)}:{line}: {each}" for each in problems_of(*printed.groups())]
        self.assertEqual(wrong, [])
        self.assertGreater(found, 100, "they are found")

    def test_what_is_not_there_is_found(self):
        self.assertEqual(problems_of("frobnicate", ""), ["no subcommand frobnicate"])
        self.assertEqual(problems_of("consume", " errors --sideways --max 1"), ["consume has no --sideways"])
        self.assertEqual(problems_of("key", " create acme --plan pro"), [])


if __name__ == "__main__":
    harness.main()
