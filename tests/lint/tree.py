"""The house: what lies where, how long it is, and who includes whom."""
import posixpath
import re

from lint import ROOT, check, code, files, main, matching_lines

TOP = {"runtime", "include", "bench", "tests", "docs", "meson.build", "meson_options.txt",
       "README.md", "LICENSE"}
LAYERS = ["base", "os", "mem", "sync", "flow", "proc", "work view", "tool"]


@check("the top level has exactly the allowed entries", {"stray.txt": "", "README.md": ""})
def top_level(tree):
    found = {path.split("/")[0] for path in tree}
    if "runtime" in found:  # the project itself: folders that hold no text count as well
        found |= {path.name for path in ROOT.iterdir()} - {"build"}
    found = {name for name in found if not name.startswith(".")}
    for name in sorted(found - TOP):
        yield f"{name}: not allowed at the top"
    for name in sorted(TOP - found):
        yield f"{name}: missing"


@check("files have at most 800 lines", {"runtime/base/long.c": "int x;\n" * 801})
def file_length(tree):
    for path, text in files(tree, "*.c", "*.h", "*.py"):
        if (count := text.count("\n")) > 800:
            yield f"{path}: {count} lines"


@check("public headers have at most 300 lines", {"include/shoal/long.h": "int x;\n" * 301})
def header_length(tree):
    for path, text in files(tree, "include/shoal/*.h"):
        if (count := text.count("\n")) > 300:
            yield f"{path}: {count} lines"


@check("functions have at most 70 lines", {"bench/a.c": "int f(void)\n{\n" + "x;\n" * 71 + "}\n"})
def function_length(tree):
    for path, text in files(tree, "*.c", "*.h"):
        start = None
        for number, line in enumerate(text.splitlines(), 1):
            if line == "{":
                start = number
            elif line.startswith("}") and start is not None:
                if number - start - 1 > 70:
                    yield f"{path}:{start}: {number - start - 1} lines"
                start = None


@check("lines have at most 100 columns", {"runtime/base/wide.c": "x" * 101})
def columns(tree):
    for path, text in files(tree, "*.c", "*.h", "*.py"):
        for where, _ in matching_lines(path, text, r"^.{101}"):
            yield where


def includes(path, text):
    """(where, target, quoted) of each include, without those inside comments."""
    blanked = code(text).splitlines()
    for number, line in enumerate(text.splitlines()):
        if blanked[number].lstrip().startswith("#") and \
                (found := re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)):
            yield f"{path}:{number + 1}", found[2], found[1] == '"'


def level(path):
    folder = path.split("/")[0]
    return next((i for i, names in enumerate(LAYERS) if folder in names.split()), None)


@check("includes under runtime go downward only", {
    "runtime/base/clock.c": '#include "mem/segment.h"\n'})
def layers(tree):
    for path, text in files(tree, "runtime/*.c", "runtime/*.h"):
        own = path.removeprefix("runtime/")
        if level(own) is None:
            yield f"{path}: in no known layer"
            continue
        for where, target, quoted in includes(path, text):
            if not quoted:
                continue
            same_folder = own.split("/")[0] == target.split("/")[0]
            if level(target) is None:
                yield f'{where}: "{target}" is not named by its layer\'s folder'
            elif not same_folder and level(target) >= level(own):
                yield f'{where}: "{target}" is not below'


@check("work and view do not include each other", {"runtime/view/a.c": '#include "work/pool.h"\n'})
def siblings(tree):
    for path, text in files(tree, "runtime/work/*", "runtime/view/*"):
        other = "view/" if "/work/" in path else "work/"
        for where, target, _ in includes(path, text):
            if target.startswith(other):
                yield f'{where}: "{target}"'


@check("a layout is included in its own folder only, and by layouts", {
    "runtime/flow/queue.c": '#include "mem/peer_shm.h"\n'})
def layouts(tree):
    allowed = {"runtime/view/inspect.c"}  # walks a segment, whoever made it
    for path, text in files(tree, "runtime/*.c", "runtime/*.h", "bench/*"):
        if path.endswith("_shm.h") or path in allowed:
            continue
        for where, target, _ in includes(path, text):
            if target.endswith("_shm.h") and path.split("/")[1] != target.split("/")[0]:
                yield f'{where}: "{target}"'


@check("each .c includes its own header first", {
    "runtime/os/a.c": '#include <errno.h>\n#include "os/a.h"\n', "runtime/os/a.h": ""})
def own_header_first(tree):
    for path, text in files(tree, "runtime/*.c"):
        own = path.removeprefix("runtime/")[:-1] + "h"
        first = next(includes(path, text), (path, None, False))
        if f"runtime/{own}" in tree and first[1] != own:
            yield f'{first[0]}: "{own}" must come first'


@check("public headers include public and system headers only", {
    "include/shoal/a.h": '#include "base/atom.h"\n'})
def public_includes(tree):
    for path, text in files(tree, "include/*.h"):
        for where, target, quoted in includes(path, text):
            if quoted or target.startswith("shoal/") and f"include/{target}" not in tree:
                yield f"{where}: {target}"


@check("shoal.h includes every public header and nothing else", {
    "include/shoal.h": "#include <shoal/base.h>\n", "include/shoal/base.h": "",
    "include/shoal/left_out.h": ""})
def umbrella(tree):
    listed = {target for _, target, _ in includes("shoal.h", tree.get("include/shoal.h", ""))}
    for name in sorted(listed ^ {path.removeprefix("include/")
                                 for path, _ in files(tree, "include/shoal/*.h")}):
        yield f"include/shoal.h: {name}"


@check("every file of C under runtime is built", {
    "runtime/meson.build": "files('base/a.c')", "runtime/base/b.c": ""})
def built(tree):
    for path, _ in files(tree, "runtime/*.c"):
        if f"'{path.removeprefix('runtime/')}'" not in tree.get("runtime/meson.build", ""):
            yield f"{path}: not in runtime/meson.build"


@check("documents link only to files that exist", {"README.md": "see [this](docs/none.md)"})
def links(tree):
    for path, text in files(tree, "*.md"):
        for where, found in matching_lines(path, text, r"\]\(([^)#:]+)(?:#[^)]*)?\)"):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1]))
            if target not in tree and not (ROOT / target).is_dir():
                yield f"{where}: {found[1]}"


# Spelled in pieces, so that this file does not find itself.
HOSTS = ["deb." + "debian.org", "security." + "debian.org", "archive." + "ubuntu", "pypi" + ".org",
         "files." + "pythonhosted", "registry." + "npmjs", "crates" + ".io", "proxy." + "golang"]


@check("no package registry's host is named", {"bench/run": "curl https://" + HOSTS[0] + "/"})
def hosts(tree):
    for path, text in files(tree, "*"):
        for where, found in matching_lines(path, text, "|".join(map(re.escape, HOSTS))):
            yield f"{where}: {found[0]}"


@check("tests do not sleep to synchronise", {"tests/unit/test_a.c": "usleep(1000);\n"})
def sleeps(tree):
    sleeping = r"\b(sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep)\s*\("
    for path, text in files(tree, "tests/*.c", "tests/*.h"):
        lines, blanked = text.splitlines(), code(text)
        for where, _ in matching_lines(path, blanked, sleeping):
            number = int(where.rpartition(":")[2])
            if not any("not synchronisation:" in line for line in lines[max(0, number - 3):number]):
                yield f"{where}: without /* not synchronisation: why */"


main()
