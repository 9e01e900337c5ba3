"""The library on AArch64: compiled for it, and unit tests run under an emulator.

usage: run.py FOLDER     where .ci/setup has put what of this processor is linked

The emulator, qemu-user, knows neither the list that the kernel reads at a thread's death, nor pages
that are wiped in a forked child, nor futex_waitv, and a program of this kind cannot start another.
So nothing of tests/proc, tests/crash, tests/fault and tests/stress can run here, nor unit tests
with processes of their own, nor those in LEFT_OUT. It keeps the order of this machine's memory:
what it cannot find is a missing barrier.
"""
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAMS = [
    "memory", "event", "peer", "attach", "condition", "waits", "segment", "semaphore", "barrier",
    "queue_threads", "lock", "handles", "joinable", "share", "cells", "names", "queue", "values",
    "detach", "base", "fan", "queue_close", "audit"]
LEFT_OUT = [
    # without that list who waits for two things looks every 20 ms
    "sixteen_idle_waiters_use_no_processor",
    "two_hand_over_to_each_other_many_times",
    # the emulator says that memory was given back, and keeps what is in it
    "payloads_are_owned_then_queued_then_kept_then_free",
]
SECONDS = 120

COMPILER = "aarch64-linux-gnu-gcc"
# A smaller family: the emulator keeps a note of each page.
FLAGS = ["-std=gnu17", "-O1", "-D_GNU_SOURCE", "-DHARNESS_EMULATED=1", "-DSIZE_DEFAULT=(1u<<30)",
         "-Wall", "-Wextra", "-Werror", "-Iinclude", "-Iruntime", "-Itests", "-Itests/aarch64"]
HEADERS = ["include", "include/aarch64-linux-gnu"]
LIBRARIES = ["lib/aarch64-linux-gnu/liburcu-bp.a", "lib/aarch64-linux-gnu/liburcu-common.a"]
HARNESS = ["tests/aarch64/main.c", "tests/harness.c", "tests/judge.c"]


def call(*command):
    run = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors="replace")
    return run.returncode, run.stdout


class Build:
    def __init__(self, foreign, folder):
        self.usr, self.folder = Path(foreign).resolve() / "usr", Path(folder)
        self.headers = [word for path in HEADERS for word in ("-idirafter", self.usr / path)]
        runtime = ROOT.glob("runtime/*/*.c")
        self.common = [*HARNESS, *(str(path.relative_to(ROOT)) for path in runtime)]

    def object(self, source):
        return self.folder / (source.replace("/", "-") + ".o")

    def compile(self, source):
        """What the compiler says if it fails."""
        code, printed = call(COMPILER, *FLAGS, *self.headers, "-c", source, "-o",
                             self.object(source))
        return [printed] if code else []

    def run(self, name):
        """Lines of TAP."""
        program, sources = self.folder / name, [source_of(name), *self.common]
        code, printed = call(COMPILER, "-static", "-pthread", "-o", program,
                             *map(self.object, sources), *(self.usr / path for path in LIBRARIES))
        if code == 0:
            code, printed = call("timeout", str(SECONDS), "qemu-aarch64", program, *LEFT_OUT)
        return printed.splitlines() + ([f"not ok {name}: ends with {code}"] if code else [])


def source_of(name):
    return f"tests/unit/test_{name}.c"


def results(build, pool):
    """One for the compiler, then those of the tests, in lines of TAP."""
    sources = [*build.common, *map(source_of, PROGRAMS)]
    problems = [line for lines in pool.map(build.compile, sources) for line in lines]
    if problems:
        return ["not ok all of it is compiled", *("  " + line for line in problems)]
    return ["ok all of it is compiled",
            *(line for lines in pool.map(build.run, PROGRAMS) for line in lines)]


def main(foreign):
    if not (Path(foreign) / "usr").is_dir():
        print("ok AArch64 # SKIP liburcu-dev of arm64 was not to be had\n1..1")
        return
    with tempfile.TemporaryDirectory() as folder:
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            lines = results(Build(foreign, folder), pool)
    missing = [name for name in LEFT_OUT if not any(f"::{name} # SKIP" in line for line in lines)]
    lines += [("not ok" if missing else "ok") + " what is left out exists",
              *("  " + name for name in missing)]
    print("\n".join(lines))
    print(f"1..{sum(line.startswith(('ok ', 'not ok ')) for line in lines)}")


main(sys.argv[1])
