"""tests/run where there is nothing to run. Needs the build of its first configuration, a whole one:
else --list would build it, which with a ninja that cannot build leaves none."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lint import ROOT, Tap

sys.path.insert(0, str(ROOT / "tests"))
from runner import is_built


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


tap = Tap()
for test in filter_without_match, list_without_build:
    if is_built(ROOT / "build/gcc"):
        test(tap)
    else:
        tap.skip(test.__name__, "build/gcc is not built")
tap.end()
