"""tests/run where there is nothing to run, and of which files it complains. Needs the build of its
first configuration, a whole one: else --list would build it, which with a ninja that cannot build
leaves none."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lint import ROOT, Tap

sys.path.insert(0, str(ROOT / "tests"))
from runner import is_built, left_in_shared_memory


def tests_run(*options, **environment):
    """Its exit status and output; of the kind lint, because asking a script costs no process."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests/runner.py", "--quick", "--kind", "lint", *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **environment})
    return done.returncode, done.stdout


def filter_without_match(tap):
    found = tests_run("--no-build", "--filter", "nothing has this name")
    tap.result("a filter that no test matches is told",
               [found] * (found != (1, "no test matches\n")))


def list_without_build(tap):
    """With a ninja that cannot build."""
    with tempfile.TemporaryDirectory() as folder:
        ninja = Path(folder, "ninja")
        ninja.write_text("#!/bin/sh\nexit 1\n")
        ninja.chmod(0o755)
        status, output = tests_run("--list", PATH=f"{folder}:{os.environ['PATH']}")
    tap.result("what is built is listed without a build",
               [output] * (status != 0 or "lint_commands" not in output))


def files_of_the_living(tap):
    """Of two new files the one whose process lives is another program's, which runs beside."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    with tempfile.TemporaryDirectory() as folder:
        for pid in os.getpid(), dead.pid:
            Path(folder, f"bxfi_{pid}").touch()
        left = left_in_shared_memory({"before"}, folder)
    tap.result("only what the dead leave behind is told",
               [left] * (left != [f"bxfi_{dead.pid}"]))


tap = Tap()
for test in filter_without_match, list_without_build, files_of_the_living:
    if is_built(ROOT / "build/gcc"):
        test(tap)
    else:
        tap.skip(test.__name__, "build/gcc is not built")
tap.end()
