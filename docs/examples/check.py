"""Runs an example and compares what it prints; TAP.

usage: check.py PROGRAM EXPECTED_FILE
"""
import re
import subprocess
import sys
from pathlib import Path

ANY_ORDER, THEN, EACH_ONCE = "# in any order", "# then", "# each once: "


def in_groups(wanted, printed):
    """What is wanted, and what is printed, each group of lines sorted."""
    sorted_wanted, sorted_printed = [], []
    for group in "\n".join(wanted).split("\n" + THEN + "\n"):
        lines = group.split("\n")
        sorted_wanted += sorted(lines)
        sorted_printed += sorted(printed[len(sorted_printed):][:len(lines)])
    return sorted_wanted, sorted_printed + printed[len(sorted_printed):]


def without_patterns(wanted, printed):
    """The lines without those that match a pattern; and the problems with these."""
    problems = []
    for pattern in [line[len(EACH_ONCE):] for line in wanted if line.startswith(EACH_ONCE)]:
        matches = [line for line in printed if re.fullmatch(pattern, line)]
        printed = [line for line in printed if line not in matches]
        if not matches or len(set(matches)) < len(matches):
            problems.append(f"not each once: {pattern}: {matches}")
    return [line for line in wanted if not line.startswith(EACH_ONCE)], printed, problems


def differences(program, expected):
    run = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=50)
    wanted, printed = expected.splitlines(), run.stdout.splitlines()
    wanted, printed, problems = without_patterns(wanted, printed)
    if wanted[:1] == [ANY_ORDER]:
        wanted, printed = in_groups(wanted[1:], printed)
    if run.returncode != 0:
        problems += [f"status {run.returncode}"]
    if wanted != printed:
        problems += [f"missing: {line}" for line in wanted if line not in printed]
        problems += [f"too much: {line}" for line in printed if line not in wanted]
        problems += ["the lines differ in order or number"]
    if run.stderr:
        problems += ["stderr: " + run.stderr]
    return problems


def main(program, expected_file):
    path = Path(expected_file)
    problems = differences(program, path.read_text())
    print(("not ok" if problems else "ok") + f" 1 - example::{path.stem}")
    for problem in problems:
        print("  " + problem.replace("\n", "\n  "))
    print("1..1")
    sys.exit(1 if problems else 0)


main(sys.argv[1], sys.argv[2])
