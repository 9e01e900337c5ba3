"""What valgrind's memcheck says of some unit tests: above all, words read that nobody wrote.

usage: memcheck.py BUILD_FOLDER

Only some, as each costs a second. valgrind has no futex_waitv: the way without it is taken.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lint import Tap

PROGRAMS = [  # and which of their tests
    ("test_lock", "*"),
    ("test_queue", "queue/p*"),
]
VALGRIND = ["valgrind", "--quiet", "--trace-children=yes", "--leak-check=no"]
PLACE = re.compile(r"^==\d+== +(at|by) 0x", re.M)


def memcheck(program, tests):
    """The reports, one text for each process that has one; and whether the tests passed."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            [*VALGRIND, f"--log-file={folder}/%p", program, "--filter", tests, "--color=never"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        reports = [path.read_text() for path in Path(folder).iterdir()]
    problems = [text for text in reports if PLACE.search(text)]
    return problems + ([run.stdout] if run.returncode else [])


def main(build):
    tap = Tap()
    for name, tests in PROGRAMS:
        tap.result(f"memcheck finds nothing in {name}", memcheck(f"{build}/tests/{name}", tests))
    found = memcheck(f"{build}/tests/lint/memcheck_failing", "*")
    tap.result("memcheck is able to find a word that nobody wrote",
               [] if "uninitialised value" in " ".join(found) else found or ["nothing found"])
    tap.end()


main(sys.argv[1])
