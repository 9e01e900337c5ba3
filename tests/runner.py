"""Builds the matrix, runs the test programs, counts single tests; see tests/run --help.

A test program writes TAP: Criterion's do with --tap=FILE, Python scripts on their standard output.
Meson knows which programs there are and of which kind; the runner only runs them, because meson
would count a program as one test.

Nothing that is started here outlives the runner, however that ends. What does the work is a child,
the guard: the kernel tells it when the runner is gone, and gives it every orphan of its own
descendants (PR_SET_CHILD_SUBREAPER), so that it can kill all of them before it ends.
"""
import argparse
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM_SECONDS = 120  # how long one program may take, if meson.build names no other limit
OUTPUT_LINES = 80      # how much of a failing program's output is shown
KINDS = ["unit", "proc", "crash", "fault", "stress", "model", "fuzz", "lint", "example",
         "aarch64"]

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass
class Config:
    """One build of the matrix: build/NAME."""
    name: str
    compiler: str
    options: list
    kinds: list = field(default_factory=lambda: KINDS)
    environment: dict = field(default_factory=dict)
    slower: int = 1  # how many times longer a program may take than in the first one


# The first one is what --quick runs. Sources are linted and examples run once, not per compiler.
# TSan sees nothing of what other processes do, so it gets the tests that are driven by threads.
# The fuzzer has sanitizers of its own, and is built where clang is.
MATRIX = [
    Config("gcc", "gcc", ["-Dbench=true"]),
    Config("sanitize", "gcc",
           ["-Db_sanitize=address,undefined", "-Dbuildtype=debugoptimized",
            "-Dbench=false", "-Ddocs=false"],
           ["unit", "proc", "crash", "fault", "stress"],
           {"ASAN_OPTIONS": "abort_on_error=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"},
           slower=3),
    Config("tsan", "clang",
           ["-Db_sanitize=thread", "-Db_lundef=false", "-Dbuildtype=debugoptimized",
            "-Dbench=false", "-Ddocs=false"],
           ["unit", "fuzz"], {"TSAN_OPTIONS": "halt_on_error=1"}, slower=5),
]
COMMON_OPTIONS = ["-Dwerror=true", "-Dtests=true"]


@dataclass
class Program:
    name: str
    kind: str
    command: list
    seconds: int
    environment: dict
    is_script: bool  # it prints TAP by itself, as meson was told; all else is Criterion's


@dataclass
class Result:
    programs: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problems: list = field(default_factory=list)

    def add(self, other):
        self.programs += other.programs
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


# ---- what a program printed

LINE = re.compile(r"(ok|not ok)\b(?:\s+\d+)?\s*(?:- )?(.*)")
PLAN = re.compile(r"1\.\.(\d+)")


def parse_tap(text, only=""):
    """Counts the results; the indented lines after a failure are its description.

    Criterion tells what its filter left out as skipped: with a filter, such are not counted.
    """
    result, planned, left_out, failing = Result(), None, 0, None
    for line in text.splitlines():
        if plan := PLAN.fullmatch(line.strip()):
            planned = int(plan[1])
        elif found := LINE.match(line):
            failing = None
            if found[1] == "not ok":
                failing = [re.sub(r"\s+\([0-9.]+s\)$", "", found[2])]
                result.failed += 1
                result.problems.append(failing)
            elif "# SKIP" in found[2]:
                result.skipped += only in found[2]
                left_out += only not in found[2]
            else:
                result.passed += 1
        elif failing is not None and line.startswith(" "):
            failing.append(line)
    return result, None if planned is None else planned - left_out


# ---- programs

def die_with_parent():
    """In the child, before exec: the kernel kills it when the guard is gone."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def descendants():
    """Everything below this process, orphans included: it is their subreaper."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text()
            except OSError:
                continue  # ended meanwhile
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found, queue = [], [os.getpid()]
    while queue:
        queue += (below := children.get(queue.pop(), []))
        found += below
    return found


def reap():
    """Orphans that ended; never blocks."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def kill_descendants():
    """Until none is left: a process may fork while the others are being killed."""
    while pids := descendants():
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.001)
        reap()


def leftovers():
    """Names of what a program left behind, after a second: a kill by the kernel takes a moment."""
    deadline = time.monotonic() + 1
    while pids := descendants():
        reap()
        if time.monotonic() > deadline:
            return [process_name(pid) for pid in pids]
        time.sleep(0.01)
    return []


def process_name(pid):
    try:
        return Path("/proc", str(pid), "comm").read_text().strip()
    except OSError:
        return str(pid)


def shared_memory_names(folder):
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def is_of_the_living(name):
    """A name ends with the number of the process that it is of, Criterion's (bxfi_123) too."""
    number = re.search(r"[0-9]+$", name)
    return number and Path("/proc", number[0]).exists()


def left_in_shared_memory(names_before, folder="/dev/shm"):
    """Once all of a program are dead: what is new there, and of nobody who lives. What others are
    just making or removing may be of somebody dead as well: it gets a second."""
    left = shared_memory_names(folder) - names_before
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline and left:
        left = {name for name in left & shared_memory_names(folder) if not is_of_the_living(name)}
        time.sleep(0.01)
    return sorted(left)


def run_program(program, config, options):
    """Runs it once. Whatever keeps it from telling all its results is one more failure."""
    with tempfile.TemporaryDirectory(prefix="shoal-tests-") as scratch:
        tap, out = Path(scratch, "tap"), Path(scratch, "out")
        command = list(program.command)
        only = options.filter if options.filter and options.filter not in program.name else ""
        if not program.is_script:
            command += [f"--tap={tap}", f"-j{options.jobs}", "--color=never"]
            if only:
                command += ["--filter", "*" + only.replace("::", "/") + "*"]
        names_before = shared_memory_names("/dev/shm")
        limit = program.seconds * config.slower
        with open(out, "wb") as output:
            child = subprocess.Popen(
                command, cwd=ROOT / "build" / config.name, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **config.environment,
                     **program.environment, **({"SHOAL_TEST_FULL": "1"} if options.full else {})},
                preexec_fn=die_with_parent)
        try:
            status = child.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
            child.kill()
            child.wait()
        left = leftovers() if status is not None else []
        kill_descendants()
        socket = Path(f"/tmp/criterion_{child.pid}.sock")  # Criterion's, left when it is killed
        socket.unlink(missing_ok=True)

        printed = out.read_text(errors="replace")
        report = printed
        if not program.is_script:
            report = tap.read_text(errors="replace") if tap.exists() else ""
        result, planned = parse_tap(report, only)

        def problem(text):
            result.failed += 1
            result.problems.append([f"{program.name}: {text}"])

        told = result.passed + result.failed + result.skipped
        if status is None:
            problem(f"still running after {limit} s, killed")
        elif status < 0:
            problem(f"killed by {signal.Signals(-status).name}")
        elif planned is None:
            problem(f"no results, exit status {status}")
        elif told != planned:
            problem(f"told {told} results of {planned}")
        elif status != 0 and not result.failed:
            problem(f"exit status {status} though no test failed")
        if left:
            problem(f"processes left behind: {' '.join(left)}")
        if new := left_in_shared_memory(names_before):
            problem(f"left in /dev/shm: {' '.join(new)}")
        if result.failed and (planned is None or not program.is_script):
            tail = ["  " + line for line in printed.splitlines()[-OUTPUT_LINES:]]
            result.problems.append(["output:"] + tail)
        return result


def programs_of(build, kinds):
    """What meson was told about tests: test('name', executable, suite: 'kind')."""
    listing = subprocess.run(["meson", "introspect", "--tests", str(build)], stdout=subprocess.PIPE,
                             check=True, preexec_fn=die_with_parent).stdout
    found = []
    for test in json.loads(listing):
        suites = [suite.rpartition(":")[2] for suite in test["suite"]]
        kind = next((suite for suite in suites if suite in KINDS), None)
        if kind is None:
            raise SystemExit(f"{test['name']}: its suite is none of {' '.join(KINDS)}")
        if kind in kinds:
            seconds = test["timeout"] if test["timeout"] not in (None, 30) else PROGRAM_SECONDS
            found.append(Program(test["name"], kind, test["cmd"], seconds, test["env"],
                                 test["protocol"] == "tap"))
    return sorted(found, key=lambda program: (KINDS.index(program.kind), program.name))


# ---- the matrix

def build_config(config):
    command = [str(ROOT / ".ci/setup"), "build", config.name, *COMMON_OPTIONS, *config.options]
    return subprocess.run(command, env={**os.environ, "CC": config.compiler},
                          preexec_fn=die_with_parent).returncode == 0


def is_built(folder):
    """Far enough to be asked which tests there are."""
    return (folder / "made-with").exists() and all(
        Path(program.command[0]).exists() for program in programs_of(folder, KINDS))


def matches(program, options, folder):
    """A filter may name a program or tests; a script's tests have no names before it runs."""
    if not options.filter or options.filter in program.name:
        return True
    if program.is_script:
        return False
    listed = subprocess.run([*program.command, "--list"], capture_output=True, text=True,
                            cwd=folder, preexec_fn=die_with_parent).stdout
    suite = ""
    for line in listed.splitlines():
        name = line.lstrip("├└│─|`- ").split(":")[0].split(" ")[0]
        if line[:1].isalpha():
            suite = name
        elif options.filter in f"{suite}::{name}":
            return True
    return False


def run_config(config, options):
    total, kinds = Result(), [k for k in config.kinds if not options.kind or k in options.kind]
    if not kinds:
        return total
    folder = ROOT / "build" / config.name
    as_it_is = options.no_build or options.list and is_built(folder)
    if not as_it_is and not build_config(config):
        print(f"not ok {config.name}: the build failed", flush=True)
        total.failed += 1
        return total
    for program in programs_of(folder, kinds):
        if not matches(program, options, folder):
            continue
        total.programs += 1
        if options.list:
            print(f"{config.name:10} {program.kind:8} {program.name}")
            continue
        for _ in range(options.repeat):
            start = time.monotonic()
            result = run_program(program, config, options)
            seconds = time.monotonic() - start
            counts = f"{result.passed} passed" + "".join(
                f", {count} {word}" for count, word in
                ((result.failed, "FAILED"), (result.skipped, "skipped")) if count)
            print(f"{config.name:10} {program.kind:8} {program.name:32} {seconds:6.1f} s  {counts}",
                  flush=True)
            for problem in result.problems:
                print("    " + "\n    ".join(problem), flush=True)
            total.add(result)
    return total


def run_all(options):
    configs = [c for c in MATRIX if not options.config or c.name in options.config]
    if options.quick:
        configs = configs[:1]
    total = Result()
    for config in configs:
        total.add(run_config(config, options))
    if not total.programs and not total.failed:
        print("no test matches", flush=True)
        return 1
    if options.list:
        return 1 if total.failed else 0
    print(f"{total.passed} passed, {total.failed} failed"
          + (f", {total.skipped} skipped" if total.skipped else ""), flush=True)
    return 0 if total.passed and not total.failed else 1


def run_deaths(options):
    """The table of README.md."""
    config = MATRIX[0]
    if not options.no_build and not build_config(config):
        return 1
    program = ROOT / "build" / config.name / "tests/deaths/deaths"
    return subprocess.run([sys.executable, ROOT / "tests/deaths/table.py", program],
                          preexec_fn=die_with_parent).returncode


# ---- runner and guard

def guard(options):
    """All the work. SIGTERM comes from the runner, or from the kernel when the runner is gone."""
    def stop(number, _frame):
        raise SystemExit(128 + number)

    os.setpgrp()  # a SIGKILL of the runner's whole group leaves the guard to clean up
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        return run_deaths(options) if options.command == "deaths" else run_all(options)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for pid in descendants():
            Path(f"/tmp/criterion_{pid}.sock").unlink(missing_ok=True)
        kill_descendants()


def main():
    parser = argparse.ArgumentParser(prog="tests/run")
    parser.add_argument("command", nargs="?", choices=["deaths"])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--config", action="append", choices=[config.name for config in MATRIX])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--filter")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()

    runner = os.getpid()
    child = os.fork()
    if child == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        status = 1
        try:
            if os.getppid() == runner:
                status = guard(options)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else (print(end.code), 1)[1]
        finally:
            sys.stdout.flush()
            os._exit(status)
    # The guard decides when to end; a signal is only passed on, so that its clean-up is waited for.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
