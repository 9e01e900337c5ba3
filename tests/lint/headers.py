"""The public headers: what they export, how it is described, and that each compiles alone."""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lint import ROOT, check, code, files, main

sys.path.insert(0, str(ROOT / "docs"))
import man  # noqa: E402  the one parser of the comments

HEADERS = "include/shoal/*.h"
MAP = "runtime/shoal.map"

GOOD = """/*
 * shoal_a - does it.
 * @x: a number.
 * Owns:    nothing.
 * Blocks:  no.
 * Safe:    threads yes.
 * Death:   nothing.
 * Returns: 0.
 * Python:  none.
 */
SHOAL_API int shoal_a(int x);
"""


def public_functions(tree):
    for path, text in files(tree, HEADERS):
        for function in man.functions(path, text):
            yield path, function


@check("every public function has all labels, in their order", {
    "include/shoal/a.h": GOOD.replace(" * Death:   nothing.\n", "")})
def labels(tree):
    for path, function in public_functions(tree):
        if (found := [label for label, _ in function.labels]) != man.LABELS:
            yield f"{path}: {function.name}: {' '.join(found) or 'no comment'}"
        for label, text in function.labels:
            if not text.strip():
                yield f"{path}: {function.name}: {label} is empty"


@check("every parameter is described, in their order", {
    "include/shoal/a.h": GOOD.replace("@x", "@y")})
def parameters(tree):
    for path, function in public_functions(tree):
        described = [name for name, text in function.described if text]
        if described != function.parameters:
            yield f"{path}: {function.name}({', '.join(function.parameters)}): " \
                  f"described are {', '.join(described) or 'none'}"


@check("every comment begins with the function's name and what it does", {
    "include/shoal/a.h": GOOD.replace("shoal_a - does", "shoal_b - does")})
def summaries(tree):
    for path, function in public_functions(tree):
        if function.summary.startswith("shoal_") or not function.summary.endswith((".", "?")):
            yield f"{path}: {function.name}: {function.summary or 'no comment'}"


@check("the parser sees every exported function", {
    "include/shoal/a.h": "SHOAL_API extern int shoal_strange;\n"})
def all_seen(tree):
    for path, text in files(tree, HEADERS):
        exported = len(re.findall(r"^(?!#).*\bSHOAL_(?:API|MUST)\b", code(text), re.M))
        understood = len(list(man.functions(path, text)))
        if exported != understood:
            yield f"{path}: {exported} exported, {understood} understood"


def mapped(text):
    """Symbols of the map's global sections."""
    names, plain = [], re.sub(r"/\*.*?\*/|#[^\n]*", "", text, flags=re.S)
    for part in re.findall(r"global:(.*?)(?:local:|\})", plain, re.S):
        names += [name.strip() for name in part.split(";") if name.strip()]
    return names


@check("the symbol map and the headers agree", {
    MAP: "SHOAL_0 { global: shoal_a; shoal_b; local: *; };", "include/shoal/a.h": GOOD})
def symbol_map(tree):
    names = mapped(tree.get(MAP, ""))
    declared = {function.name for _, function in public_functions(tree)}
    for name in sorted(declared - set(names)):
        yield f"{name}: not in {MAP}"
    for name in sorted(set(names) - declared):
        yield f"{name}: in {MAP}, in no header"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: twice in {MAP}"


@check("names that a user sees begin with shoal", {"include/shoal/a.h": "#define MAX 1\n"})
def names_prefixed(tree):
    for path, text in files(tree, "include/*.h"):
        named = r"^#define (\w+)|^\} (\w+);|^(?:enum|struct) (\w+)"
        for name in re.findall(named, code(text), re.M):
            name = "".join(name)
            if not name.lower().startswith("shoal"):
                yield f"{path}: {name}"


@check("the man pages are made from every public header", {"include/shoal/a.h": GOOD,
                                                          "docs/meson.build": ""})
def man_sources(tree):
    for path, _ in files(tree, HEADERS):
        if f"'../{path}'" not in tree.get("docs/meson.build", ""):
            yield f"{path}: not in docs/meson.build"


# ---- fuzzed

NOT_FUZZED = {
    "reads nothing of a segment": """
        shoal_after_fork shoal_after_ms shoal_after_s shoal_cpu_count shoal_fail
        shoal_finalizer_cancel shoal_finalizer_create shoal_finalizer_run shoal_init
        shoal_log_set_handler shoal_log_set_level shoal_log_to_stderr shoal_log_write
        shoal_process_fd shoal_register shoal_remaining_ms shoal_segment_family shoal_shutdown
        shoal_strerror shoal_version""",
    "reads what others do: acquire and release, create, parent_process":
        "shoal_lock_enter shoal_lock_leave shoal_rlock_create shoal_current_process",
    "starts processes, which the fuzzer must not": "shoal_process_create shoal_process_start_new",
}


@check("the fuzzer makes every call that reads a segment", {"include/shoal/a.h": GOOD})
def fuzzed(tree):
    excused = {name for names in NOT_FUZZED.values() for name in names.split()}
    called = {name for _, text in files(tree, "tests/fuzz/*.c")
              for name in re.findall(r"\bshoal_\w+", code(text))}
    for _, function in public_functions(tree):
        if function.name not in called | excused:
            yield f"{function.name}: no call of tests/fuzz/calls.c, and not excused"


# ---- compiled and rendered

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-fsyntax-only"]
LANGUAGES = {
    "C17": ["gcc", "-x", "c", "-std=c17", "-Wstrict-prototypes"],
    "C17 with clang": ["clang", "-x", "c", "-std=c17", "-Wstrict-prototypes"],
    "C++17": ["g++", "-x", "c++", "-std=c++17", "-Wold-style-cast"],
}


def compiles(language, source):
    """What the compiler has to say about a program; nothing if it is content."""
    run = subprocess.run([*LANGUAGES[language], *STRICT, f"-I{ROOT}/include", "-"], input=source,
                         capture_output=True, text=True)
    return [run.stderr or "failed"] if run.returncode else []


def compiled_alone(tap):
    headers = [str(path.relative_to(ROOT / "include"))
               for path in sorted((ROOT / "include").rglob("*.h"))]
    for language in LANGUAGES:
        for header in headers:
            # Twice: the guard works.
            tap.result(f"{header} compiles alone as {language}",
                       compiles(language, f"#include <{header}>\n#include <{header}>\n"))
        tap.result(f"compiles as {language}: is able to fail",
                   [] if compiles(language, "#include <shoal/none.h>\n") else ["no error"])


def rendered(page):
    run = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", str(page)],
                         capture_output=True, text=True)
    return run.stderr.splitlines() + ([f"status {run.returncode}"] if run.returncode else [])


def man_pages(tap):
    with tempfile.TemporaryDirectory() as folder:
        headers = [ROOT / "include/shoal.h", *sorted((ROOT / "include/shoal").glob("*.h"))]
        man.main([*map(str, headers), folder, "0"])
        pages = sorted(Path(folder).iterdir())
        problems = [f"{page.name}: {text}" for page in pages for text in rendered(page)]
        tap.result("every man page renders without a warning",
                   problems or ([] if pages else ["none made"]))
        bad = Path(folder, "bad.3")
        bad.write_text(".TH A 3\n.SH NAME\n\\fQa\n.XY\n")
        tap.result("man pages render: is able to fail", [] if rendered(bad) else ["no warning"])


if __name__ == "__main__":
    main(compiled_alone, man_pages)
