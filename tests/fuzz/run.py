"""The fuzzer as tests: its corpus, some new inputs, and mistakes that it must find.

usage: run.py PROGRAM              the tests, as TAP
       run.py PROGRAM MINUTES      a long run, which adds what covers more to corpus.txt

An input is a line of hexadecimal digits: in corpus.txt those that together cover what was ever
covered. A failing input is printed as such a line. Those that once failed are in regressions.py.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lint"))
import regressions
from lint import Tap

CORPUS = HERE / "corpus.txt"
SECONDS = 15  # of new inputs, in the tests
# An input that computes for long is ended by fuzz.c; one that sleeps, after this many seconds.
FLAGS = ["-max_len=384", "-timeout=60", "-print_final_stats=1"]


def corpus():
    return [bytes.fromhex(line) for line in CORPUS.read_text().splitlines()]


def unpack(folder, inputs):
    folder.mkdir()
    for number, data in enumerate(inputs):
        Path(folder, f"{number:04}").write_bytes(data)


def fuzz(program, folder, *flags, mistake=""):
    """What went wrong, if anything did, with the input to which it did."""
    environment = {**os.environ, "SHOAL_MISTAKE": mistake,
                   "ASAN_OPTIONS": "detect_leaks=0:handle_abort=1",
                   "UBSAN_OPTIONS": "print_stacktrace=1"}
    run = subprocess.run([program, *FLAGS, *flags, "-artifact_prefix=failed-", "corpus"],
                         cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         errors="replace")
    if run.returncode == 0:
        return [], run.stdout
    failed = [path.read_bytes().hex() for path in Path(folder).glob("failed-*")]
    return [f"input: {line}" for line in failed] + run.stdout.splitlines()[-60:], run.stdout


def test(program):
    tap = Tap()
    scene = regressions.Scene(program)
    mistakes = regressions.mistakes(scene)
    with tempfile.TemporaryDirectory() as folder:
        known = [*corpus(), *(data for _, data in mistakes), *regressions.others(scene)]
        unpack(Path(folder, "corpus"), known)
        tap.result("what was ever found is still right", fuzz(program, folder, "-runs=0")[0])
        tap.result(f"new inputs for {SECONDS} seconds are harmless",
                   fuzz(program, folder, "-seed=1", f"-max_total_time={SECONDS}")[0])
    for mistake, data in mistakes:
        with tempfile.TemporaryDirectory() as folder:
            unpack(Path(folder, "corpus"), [data])
            problems, _ = fuzz(program, folder, "-runs=0", mistake=mistake)
            tap.result(f"{mistake}: the mistake is found", [] if problems else ["it is not"])
    tap.end()


def long_run(program, minutes):
    with tempfile.TemporaryDirectory() as folder:
        unpack(Path(folder, "corpus"), corpus())
        problems, output = fuzz(program, folder, f"-max_total_time={60 * minutes}")
        print("\n".join(problems or output.splitlines()[-12:]))
        if problems:
            sys.exit(1)
        merged = Path(folder, "merged")
        merged.mkdir()
        subprocess.run([program, *FLAGS, "-merge=1", "-use_counters=0", merged, "corpus"],
                       cwd=folder, check=True, stderr=subprocess.DEVNULL)
        lines = sorted(path.read_bytes().hex() for path in merged.iterdir())
        CORPUS.write_text("".join(line + "\n" for line in lines))
        print(f"{len(lines)} inputs in {CORPUS.name}")


fuzzer = Path(sys.argv[1]).resolve()
if len(sys.argv) == 3:
    long_run(fuzzer, int(sys.argv[2]))
else:
    test(fuzzer)
