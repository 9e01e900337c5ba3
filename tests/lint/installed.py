"""What meson install puts down can be used: programs built with pkg-config alone, and run.

usage: installed.py BUILD_FOLDER
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from headers import MAP, mapped
from lint import ROOT, Tap

STRICT = ["-Wall", "-Wextra", "-Werror"]
C, CXX = ["gcc", "-std=c17", "-x", "c"], ["g++", "-std=c++17", "-x", "c++"]


def output(*command, **more):
    """Standard output and what went wrong, if anything did."""
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=60, **more)
    return run.stdout, [] if run.returncode == 0 else [
        f"{' '.join(map(str, command))}: status {run.returncode}", run.stdout + run.stderr]


class Installed:
    def __init__(self, build, folder):
        self.folder = Path(folder)
        _, self.problems = output("meson", "install", "-C", build, "--no-rebuild", "--quiet",
                                  "--destdir", folder)
        self.library = next(self.folder.rglob("libshoal.a"), self.folder).parent
        self.environment = {**os.environ, "PKG_CONFIG_PATH": str(self.library / "pkgconfig"),
                            "PKG_CONFIG_SYSROOT_DIR": folder}

    def program(self, compiler, name, static):
        """Builds, runs, and looks what it is linked to."""
        program = self.folder / name
        flags, problems = output("pkg-config", *(["--static"] if static else []), "--cflags",
                                 "--libs", "shoal", env=self.environment)
        problems += output(*compiler, *STRICT, ROOT / "tests/lint/installed.c", "-o", program,
                           "-x", "none", *flags.split())[1]
        if problems:
            return problems
        printed, problems = output(program, env={**os.environ,
                                                 "LD_LIBRARY_PATH": str(self.library)})
        if printed != "42\n":
            problems.append(f"printed {printed!r}")
        needed, _ = output("readelf", "-d", program)
        if ("libshoal.so" in needed) == static:
            problems.append("linked to the " + ("shared object" if "libshoal.so" in needed
                                                else "archive"))
        return problems

    def symbols(self, library, *options):
        text, problems = output("nm", *options, "--defined-only", self.library / library)
        lines = [line.split() for line in text.splitlines()]
        return {words[2].partition("@")[0] for words in lines
                if len(words) == 3 and words[1] != "A"}, problems


def main(build):
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        installed = Installed(build, folder)
        tap.result("meson install succeeds", installed.problems)
        tap.result("a C17 program runs with the shared object",
                   installed.program(C, "c_shared", static=False))
        tap.result("a C++17 program runs with the shared object",
                   installed.program(CXX, "cxx_shared", static=False))

        exported, problems = installed.symbols("libshoal.so", "-D")
        wanted = set(mapped((ROOT / MAP).read_text()))
        tap.result("the shared object exports what the map names and nothing else",
                   problems + sorted(exported ^ wanted))
        names, problems = installed.symbols("libshoal.a", "-g")
        tap.result("the archive's symbols begin with shoal_ or shl_",
                   problems + sorted(n for n in names if not n.startswith(("shoal_", "shl_"))))

        tap.result("the archive has nothing of the chaos kit",
                   sorted(n for n in names if n.startswith(("shl_chaos", "shl_mistake"))))

        # Without the shared object, -lshoal is the archive.
        for shared in installed.library.glob("libshoal.so*"):
            shared.unlink()
        tap.result("a C17 program runs with the archive",
                   installed.program(C, "c_static", static=True))
        tap.result("a C++17 program runs with the archive",
                   installed.program(CXX, "cxx_static", static=True))
        tap.result("linking is able to fail",
                   [] if installed.program(C, "c_none", static=False) else ["no error"])

        pages = {page.name for page in Path(folder).rglob("man?/shoal*")}
        wanted = {f"{name}.3" for name in exported} | {"shoal.7"} | {
            f"shoal_{path.stem}.7" for path in (ROOT / "include/shoal").glob("*.h")}
        tap.result("every exported function and every header has its man page",
                   sorted(wanted ^ pages))
    tap.end()


if __name__ == "__main__":
    main(sys.argv[1])
