"""One process is killed: CPython's multiprocessing beside shoal, both run now.

  table.py DEATHS          prints the table of README.md; DEATHS is the program of deaths.c
  table.py --test DEATHS   TAP: every case that shoal has is fine, and README.md says what is found

Each case is a program of its own in a session of its own, which is killed afterwards. cpython.py
and deaths.c say what they do, and how they tell what happened.
"""
import ctypes
import datetime
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lint"))
from lint import ROOT, Tap  # noqa: E402

CASES = {
    "lock": "a lock's holder",
    "queue": "who waits in a queue's `get`",
    "condition": "who waits in a condition",
    "event": "who waits for an event",
    "semaphore": "a holder of a semaphore's permit",
    "barrier": "who waits at a barrier",
    "joinable_queue": "a joinable queue's consumer, before `task_done`",
    "pool": "a pool's worker, in a task",
    "exit_after_put": "nobody, but a putter calls `_exit`",
    "manager": "a manager's process",
    "initializer": "nobody, but a pool's initializer fails",
}
SECONDS = 3        # who has not got an answer after these hangs
TEST_SECONDS = 20  # the same for shoal in a test: the machine may be busy with others
TIMES = 15         # for the median of shoal's times
VERDICTS = {0: "fine", 1: "wrong", 2: "lost", -signal.SIGALRM: "hangs"}


class Outcome(NamedTuple):
    verdict: str
    seconds: float = 0
    text: str = ""

    def __str__(self):
        if not self.text:
            return self.verdict
        time = (f"> {SECONDS} s" if self.verdict == "hangs" else
                f"{self.seconds:.1f} s" if self.seconds > 0.1 else f"{self.seconds * 1e3:.1f} ms")
        return f"{self.verdict}, {time}: {self.text}"


def die_with_parent():
    """In the child, before exec: the kernel kills it when this script is gone."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Run:
    """A case that runs."""
    def __init__(self, *command, stderr=None):
        self.output = tempfile.TemporaryFile("w+")
        self.folder = tempfile.TemporaryDirectory()  # CPython's killed manager leaves a socket
        self.child = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=self.output, stderr=stderr,
            start_new_session=True, preexec_fn=die_with_parent,
            env={**os.environ, "TMPDIR": self.folder.name})

    def outcome(self):
        # Not reaped yet: its number is still that of its session.
        os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT)
        os.killpg(self.child.pid, signal.SIGKILL)
        verdict = VERDICTS.get(self.child.wait(), "wrong")
        self.folder.cleanup()
        self.output.seek(0)
        lines = self.output.read().splitlines() or ["says nothing"]
        told = re.fullmatch(r"(\d+) (.*)", lines[-1])
        if told and verdict != "hangs":
            return Outcome(verdict, int(told[1]) / 1e6, told[2])
        return Outcome(verdict, 0, lines[-1])


def shoal_outcomes(deaths, seconds, times):
    """One after the other, so that each has the machine: of so many times the median, or what is
    not fine. A case that @deaths does not name is missing."""
    listed = subprocess.run([deaths], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    found = {case: Outcome("missing") for case in CASES}
    for case in listed:
        outcomes = sorted(Run(deaths, case, seconds).outcome() for _ in range(times))
        found[case] = next((outcome for outcome in outcomes if outcome.verdict != "fine"),
                           outcomes[times // 2])
    return found


def cpython_outcomes():
    """At once: most of them only hang. Nothing where multiprocessing does not work."""
    try:
        import multiprocessing
        multiprocessing.Lock()
    except (ImportError, OSError):
        return {case: Outcome("not run") for case in CASES}
    runs = {case: Run(sys.executable, HERE / "cpython.py", case, SECONDS,
                      stderr=subprocess.DEVNULL) for case in CASES}
    return {case: run.outcome() for case, run in runs.items()}


# ---- the table

def row(*cells):
    return "| " + " | ".join(cells) + " |"


def where():
    """At which commit, when, and on what machine."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty", "--exclude=*"], cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    kernel = ".".join(platform.release().split(".")[:2])
    return ", ".join([f"at commit {commit.strip() or 'unknown'}", str(datetime.date.today()),
                      model[1] if model else platform.machine(), f"{os.cpu_count()} processors",
                      f"Linux {kernel}"])


def table(deaths):
    shoal, cpython = shoal_outcomes(deaths, SECONDS, TIMES), cpython_outcomes()
    version = re.search(r"version: '(.*?)'", (ROOT / "meson.build").read_text())[1]
    yield row("who is killed",
              f"{platform.python_implementation()} {platform.python_version()}", f"shoal {version}")
    yield "|---|---|---|"
    for case, title in CASES.items():
        yield row(title, str(cpython[case]), str(shoal[case]))
    yield ""
    yield (f"`tests/run deaths` {where()}. Times are since the death, those of shoal medians of "
           f"{TIMES}. What has no answer after {SECONDS} s hangs.")


def disagreements(readme, shoal):
    """Between the rows of the table in README.md and what has just been found."""
    found = {title: shoal[case].verdict for case, title in CASES.items()}
    told = {cells[0]: re.match(r"\w*", cells[2])[0]
            for line in readme.splitlines()
            if len(cells := line.strip("| ").split(" | ")) == 3 and cells[0] in found}
    for title, verdict in found.items():
        if told.get(title) != verdict:
            yield f"{title}: it says {told.get(title, 'nothing')}, but it is {verdict}"


def test(deaths):
    tap, shoal = Tap(), shoal_outcomes(deaths, TEST_SECONDS, 1)
    for case, outcome in shoal.items():
        if outcome.verdict != "missing":
            known = [] if case in CASES else ["no row of the table"]
            tap.result(f"deaths: {case}", known + [outcome] * (outcome.verdict != "fine"))
    hangs, fails = Run(deaths, "unowned_semaphore", 1), Run("false")
    verdicts = (hangs.outcome().verdict, fails.outcome().verdict)
    tap.result("deaths: what hangs and what is wrong is told",
               [verdicts] * (verdicts != ("hangs", "wrong")))
    readme = (ROOT / "README.md").read_text()
    tap.result("deaths: README.md says what is found", list(disagreements(readme, shoal)))
    tap.result("deaths: README.md says what is found: is able to fail",
               [] if list(disagreements(readme.replace("| fine", "| hangs"), shoal)) else
               ["a seeded violation was not noticed"])
    for case, outcome in cpython_outcomes().items():
        print(f"# told, not judged: CPython {platform.python_version()}: {case} {outcome}")
    tap.end()


if sys.argv[1] == "--test":
    test(sys.argv[2])
else:
    print("\n".join(table(sys.argv[1])))
