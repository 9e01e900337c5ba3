"""What the lints share: the tree as a dictionary, C without its comments, and TAP.

A check is a generator over a tree {path: text} that yields one message per violation. It comes
with a bad tree, on which it must yield something: a lint that cannot fail proves nothing. Each
check is therefore two tests, "NAME" on the project and "NAME: is able to fail" on the bad tree.
"""
import fnmatch
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["runtime", "include", "bench", "tests", "docs", ".ci"]

checks = []


def check(name, bad):
    def register(function):
        checks.append((name, function, bad))
        return function
    return register


def read_tree():
    """Every text file of the project."""
    tree = {}
    paths = [p for p in ROOT.iterdir() if p.is_file()]
    for folder in FOLDERS:
        paths += [p for p in (ROOT / folder).rglob("*") if p.is_file()]
    for path in paths:
        if "__pycache__" not in path.parts:
            try:
                tree[str(path.relative_to(ROOT))] = path.read_text()
            except UnicodeDecodeError:
                pass  # a picture
    return tree


def files(tree, *patterns):
    """Paths and texts that match; a * also crosses folders."""
    for path in sorted(tree):
        if any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
            yield path, tree[path]


COMMENT_OR_STRING = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code(text):
    """C with comments, strings and characters blanked; lines and columns stay where they are."""
    return COMMENT_OR_STRING.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def matching_lines(path, text, pattern):
    """path:line of every line that matches."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.search(pattern, line):
            yield f"{path}:{number}", found


class Tap:
    """One line a test; the reasons of a failure follow, indented."""
    def __init__(self):
        self.count = self.failures = 0

    def result(self, name, problems):
        self.count += 1
        self.failures += bool(problems)
        print(("not ok" if problems else "ok") + f" {self.count} - {name}")
        for problem in problems:
            print("  " + str(problem).replace("\n", "\n  "))

    def skip(self, name, reason):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {reason}")

    def end(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failures else 0)


def main(*more):
    """All checks of the script, then what else it wants to tell a Tap."""
    tap, tree = Tap(), read_tree()
    for name, function, bad in checks:
        tap.result(name, list(function(tree)))
        tap.result(f"{name}: is able to fail",
                   [] if list(function(bad)) else ["a seeded violation was not noticed"])
    for function in more:
        function(tap)
    tap.end()
