"""docs/python.md: its numbers, and the tests that prove them.

A test cites the numbers of the checks it proves in the comment just above it, or in its name
(…_1_10_3); an example anywhere. page.py --write fills the page's last column from that.
"""
import re
import sys

from lint import ROOT, check, files, main, read_tree

PAGE = "docs/python.md"
CELLS = r"(?<!\\) \| "
ROW = r"^\| (\d+(?:\.\d+)+) \| (.*) \|$"


def rows(tree):
    """(number, [check, ours, differs, test])"""
    for line in tree.get(PAGE, "").splitlines():
        if found := re.match(ROW, line):
            yield found[1], re.split(CELLS, found[2])


TEST = re.compile(r"(?:^/\*((?:(?!\*/).)*)\*/\n)?^(?:Parameterized)?Test\((\w+), (\w+)",
                  re.M | re.S)


def cited(text):
    """Numbers of checks: those of part 1 have three parts, those of part 2 have two."""
    yield from re.findall(r"(?<![\w.])(1\.\d{1,2}\.\d{1,2}|2\.\d{1,2})(?!\.?\d|\w)", text)


def proofs(tree):
    """(path, name, numbers) of every Criterion test and every example."""
    for path, text in files(tree, "tests/*.c"):
        for comment, suite, name in TEST.findall(text):
            in_name = re.findall(r"_(1_\d{1,2}_\d{1,2}|2_\d{1,2})(?=_|$)", name)
            yield path, f"{suite}::{name}", {*cited(comment),
                                             *(number.replace("_", ".") for number in in_name)}
    for path, text in files(tree, "docs/examples/*.c"):
        yield path, path, {*cited(text)}


def proved_by(tree):
    """number -> names"""
    found = {}
    for _, name, numbers in proofs(tree):
        for number in numbers:
            found.setdefault(number, []).append(name)
    return found


@check("every row has five columns, and every number stands once", {
    PAGE: "| 1.1.1 | text | ours | – | – |\n| 1.1.1 | text | ours | – |\n"})
def well_formed(tree):
    seen = set()
    for number, cells in rows(tree):
        if len(cells) != 4 or not all(cell.strip() for cell in cells):
            yield f"{number}: {len(cells) + 1} columns, or an empty one"
        if number in seen:
            yield f"{number}: twice"
        seen.add(number)


@check("no check is lost", {PAGE: "| 1.1.1 | a | b | – | – |\n| 1.1.3 | a | b | – | – |\n"})
def complete(tree):
    """Within each part the numbers count up from 1 without a gap."""
    last = {}
    for number, _ in rows(tree):
        part, _, index = number.rpartition(".")
        if int(index) != last.get(part, 0) + 1:
            yield f"{number}: follows {part}.{last.get(part, 0)}"
        last[part] = int(index)
    if not last:
        yield f"{PAGE} has no rows"


@check("every number that a test cites is a row", {
    PAGE: "| 1.1.1 | a | b | – | – |\n", "tests/unit/test_a.c": "/* 1.1.2 */\nTest(a, b)\n"})
def numbers_exist(tree):
    numbers = {number for number, _ in rows(tree)}
    for path, name, cites in proofs(tree):
        for number in sorted(cites - numbers):
            yield f"{path}: {name}: {number}"


@check("every row names exactly the tests that cite it (page.py --write does it)", {
    PAGE: "| 1.1.1 | a | b | – | `queue::not_there` |\n"})
def tests_exist(tree):
    found = proved_by(tree)
    for number, cells in rows(tree):
        if cells[-1] != column(found.get(number, [])):
            yield f"{number}: {cells[-1]}, but {column(found.get(number, []))}"


def column(names):
    return ", ".join(f"`{name}`" for name in names) or "–"


@check("every function that a row names exists", {
    PAGE: "| 1.1.1 | a | `shoal_none()` | – | – |\n", "include/shoal/a.h": "int shoal_a(void);\n"})
def functions_exist(tree):
    headers = "".join(text for _, text in files(tree, "include/*.h"))
    for number, cells in rows(tree):
        for name in re.findall(r"\bshoal_\w+", " ".join(cells[1:3])):
            if not re.search(rf"\b{name}\b", headers):
                yield f"{number}: {name}"


@check("every option that a document tells of exists", {
    "README.md": "run `tests/run --nothing`\n", "tests/run": "--help\n"})
def options_exist(tree):
    called = r"\b(tests/run|bench/run)((?: +--?\w[\w-]*(?: \w+)?)+)"
    for path, text in files(tree, "*.md"):
        for script, options in re.findall(called, text):
            for option in re.findall(r"--[\w-]+", options):
                if option not in tree.get(script, ""):
                    yield f"{path}: {script} {option}"


def write():
    found = proved_by(tree := read_tree())
    lines = tree[PAGE].splitlines()
    for index, line in enumerate(lines):
        if row := re.match(ROW, line):
            cells = re.split(CELLS, row[2])[:-1] + [column(found.get(row[1], []))]
            lines[index] = f"| {row[1]} | " + " | ".join(cells) + " |"
    (ROOT / PAGE).write_text("\n".join(lines) + "\n")


if sys.argv[1:] == ["--write"]:
    write()
else:
    main()
