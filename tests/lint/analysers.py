"""What the analysers find: clang-tidy, cppcheck and gcc's own.

Which checks clang-tidy runs stands in .clang-tidy, with a reason for each that is left out. Where a
finding is wrong, NOLINT or cppcheck-suppress stands at the place, names the check and says why.
"""
import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lint import ROOT, check, files, main, matching_lines, read_tree

# RIVAL_BOOST, START_ALONE and BENCH_FOLDER are paths that meson says; where DPDK is, pkg-config
# would say.
INCLUDES = ["-Iinclude", "-Iruntime", "-Ibench", "-isystem/usr/include/dpdk",
            "-isystem/usr/include/x86_64-linux-gnu/dpdk", "-D_GNU_SOURCE",
            '-DRIVAL_BOOST="rival_boost.so"', '-DSTART_ALONE="start_alone"',
            '-DBENCH_FOLDER="bench"']

CLANG_TIDY = ["clang-tidy", "--quiet", "FILE", "--", "-std=gnu17", *INCLUDES]
CPPCHECK = ["cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr", "--std=c11",
            "--enable=warning,style,performance,portability", "-D__x86_64__", *INCLUDES,
            "--template={file}:{line}: {message} [{id}]", "FILE"]
GCC = ["gcc", "-std=gnu17", "-O1", "-fanalyzer", "-Werror", *INCLUDES,
       "-c", "FILE", "-o", "/dev/null"]

# For each analyser mistakes of the kinds that it is here for, by the name that it gives them.
CLANG_TIDY_FINDS = {
    "bugprone-suspicious-string-compare":
        "return strcmp(a, b) == 0 || strcmp(a, b) > 1;",
    "bugprone-sizeof-expression":
        "return memcmp(a, b, sizeof(a) * sizeof(int *));",
    "bugprone-implicit-widening-of-multiplication-result":
        "unsigned n = (unsigned)*b; const char *c = a + n * 4096u; return *c;",
    "cert-flp30-c":
        "int n = *a; for (float f = 0; f < 1; f += 0.1f) n++; return n + *b;",
    "clang-analyzer-core.NullDereference":
        "const char *c = *a ? b : NULL; return *c;",
    "clang-analyzer-unix.Malloc":
        "char *c = strdup(a); return c ? *c + *b : 0;",
    "concurrency-mt-unsafe":
        "char *c = strtok(NULL, a); return c == b;",
    "misc-redundant-expression":
        "return *a == *b && *a == *b;",
    "readability-misleading-indentation":
        "if (*a)\n        if (*b)\n            return 1;\n    else\n        return 2;\n"
        "    return 0;",
}
CPPCHECK_FINDS = {
    "arrayIndexOutOfBounds": "int c[4] = { 0 }; return c[4] + *a + *b;",
    "uninitvar": "int c; return *a + *b + c;",
    "shiftTooManyBits": "return *a << 40 | *b;",
}
GCC_FINDS = {
    "analyzer-double-free": "char *c = strdup(a); free(c); if (*b) free(c); return 0;",
    "analyzer-use-after-free": "char *c = strdup(a); free(c); return c ? c[0] : *b;",
    "analyzer-null-dereference": "const char *c = *a ? b : NULL; return *c;",
}

# gcc's own knows less of what cannot be: under bench it was wrong three times of three.
ANALYSERS = [
    ("clang-tidy", CLANG_TIDY, ["runtime", "bench"], CLANG_TIDY_FINDS),
    ("cppcheck", CPPCHECK, ["runtime", "bench"], CPPCHECK_FINDS),
    ("gcc -fanalyzer", GCC, ["runtime"], GCC_FINDS),
]


def sample(body):
    return {".clang-tidy": (ROOT / ".clang-tidy").read_text(), "runtime/base/sample.c":
            "#include <stdlib.h>\n#include <string.h>\nint f(const char *a, const char *b);\n"
            "int f(const char *a, const char *b)\n{\n    " + body + "\n}\n"}


def output(command, path, folder):
    run = subprocess.run([path if word == "FILE" else word for word in command], cwd=folder,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    return run.stdout if run.returncode else ""


def findings(tree, command, folders):
    """What the command says of each file of C in the folders, as many at once as there are
    processors; in a copy, so that a sample is looked at like the project."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files(tree, "runtime/*", "include/*", "bench/*", ".clang-tidy"):
            copy = Path(folder, path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text)
        sources = [path for path, _ in files(tree, *(f + "/*.c" for f in folders))]
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            outputs = pool.map(lambda path: output(command, path, folder), sources)
            text = "\n".join(outputs).replace(folder + "/", "")
    return sorted({line for line in text.splitlines() if re.match(r"\S+:\d+:.*( \[|fatal)", line)})


def analyse(tap):
    tree = read_tree()
    for name, command, folders, finds in ANALYSERS:
        tap.result(f"{name} finds nothing", findings(tree, command, folders))
        for mistake, body in finds.items():
            found = findings(sample(body), command, folders)
            tap.result(f"{name}: is able to find {mistake}",
                       [] if mistake in " ".join(found) else ["not noticed", *found])


REASONED = r"(NOLINT(NEXTLINE|BEGIN|END)?\([\w.-]+\): \w|cppcheck-suppress \w+ ; \w)"


@check("a suppressed finding is named, and has a reason", {
    "runtime/base/a.c": "exit(1); /" + "* NOLINT */\n"})
def suppressions(tree):
    for path, text in files(tree, "*.c", "*.h"):
        for where, found in matching_lines(path, text, "NOLINT|cppcheck-suppress"):
            if not re.search(REASONED, found.string):
                yield where


main(analyse)
