"""Rules of concurrent code and of what lies in the segment."""
import re

from lint import check, code, files, main, matching_lines

ATOM_H = "runtime/base/atom.h"


def forbidden(tree, pattern, folders, allowed=lambda path: False):
    for path, text in files(tree, *folders):
        if not allowed(path):
            for where, found in matching_lines(path, code(text), pattern):
                yield f"{where}: {found[0].strip()}"


@check("only base/atom.h uses <stdatomic.h>", {"runtime/os/a.c": "#include <stdatomic.h>\n"})
def stdatomic(tree):
    yield from forbidden(tree, r"stdatomic\.h|\b(__atomic|__sync)_\w+|\bmemory_order_\w+",
                         ["runtime/*.c", "runtime/*.h"], lambda path: path == ATOM_H)


@check("there are no fences", {"runtime/flow/a.c": "atomic_thread_fence(memory_order_seq_cst);\n"})
def fences(tree):
    yield from forbidden(tree, r"\w*thread_fence\w*|\batomic_signal_fence\b|__sync_synchronize",
                         ["runtime/*", "bench/*.c", "tests/*.c"])


@check("no futex is private", {"runtime/os/futex.c": "x = FUTEX_WAIT_PRIVATE;\n"})
def private_futex(tree):
    yield from forbidden(tree, r"\bFUTEX\w*PRIVATE\w*|\bFUTEX2_PRIVATE\b", ["runtime/*"])


@check("only runtime/os makes raw system calls", {"runtime/flow/a.c": "syscall(SYS_futex, 0);\n"})
def system_calls(tree):
    yield from forbidden(tree, r"\bsyscall\s*\(|\bSYS_\w+", ["runtime/*.c", "runtime/*.h"],
                         lambda path: path.startswith("runtime/os/"))


@check("only os/child.c forks, and nothing hooks fork", {"runtime/proc/a.c": "pid = fork();\n"})
def forks(tree):
    yield from forbidden(tree, r"\bv?fork\s*\(|\bclone3?\s*\(|\bposix_spawnp?\s*\(",
                         ["runtime/*.c", "runtime/*.h"], lambda path: path == "runtime/os/child.c")
    yield from forbidden(tree, r"\bpthread_atfork\b", ["runtime/*"])


@check("the library never prints but on its way out", {"runtime/mem/a.c": 'printf("x");\n'})
def prints(tree):
    allowed = {"runtime/base/check.h", "runtime/base/check.c", "runtime/base/log.c",
               "runtime/proc/init.c", "runtime/proc/process.c"}
    yield from forbidden(tree, r"\b(v?f?printf|puts|fputs|perror|v?dprintf)\s*\(", ["runtime/*.c"],
                         lambda path: path in allowed or path.startswith("runtime/tool/"))


# ---- kill points and mistakes

def seeded(tree, macro, folder):
    """Those of the runtime that no test under the folder names, nor an input of the fuzzer."""
    named = set()
    for _, text in files(tree, folder + "*.c", folder + "*.h", folder + "fuzz/*.py"):
        named |= set(re.findall(r'"([\w.]+)"', text))
    for path, text in files(tree, "runtime/*.c", "runtime/*.h"):
        for where, found in matching_lines(path, text, macro + r'\("([\w.]+)"\)'):
            if found[1] not in named:
                yield f"{where}: {found[1]}"


@check("every kill point has its test", {"runtime/flow/a.c": 'SHL_CHAOS("a.P1");\n'})
def points(tree):
    yield from seeded(tree, "SHL_CHAOS", "tests/crash/")


@check("every mistake is made by a test", {"runtime/flow/a.c": 'if (SHL_MISTAKE("a.P1"))\n'})
def mistakes(tree):
    yield from seeded(tree, "SHL_MISTAKE", "tests/")


# ---- tags of ordered operations

ORDERED = re.compile(r"\batom_(\w*?)_?(acq_rel|acquire|release|seq_cst)\w*\s*\(")
TAG = re.compile(r"\[([a-z_]+\.[a-z_]+)\]")


def sides_of(operation, order):
    if order == "acquire" or operation == "load":
        return "a"
    return "r" if order == "release" or operation == "store" else "ar"


def tagged_operations(path, text):
    """(where, sides, tags): the tags stand in the comment on the same line, or in the one that
    ends just above the statement; a run of consecutive ordered lines shares it."""
    lines, blanked = text.splitlines(), code(text).splitlines()
    previous = (-2, [])
    for number, line in enumerate(blanked):
        if not (found := ORDERED.search(line)):
            continue
        tags = TAG.findall(lines[number])
        above = number - 1
        while not tags and above >= 0 and lines[above].strip():
            if not blanked[above].strip():  # a comment's last line
                while above >= 0 and lines[above].strip() and not blanked[above].strip():
                    tags = TAG.findall(lines[above]) + tags
                    above -= 1
                break
            elif above == previous[0]:
                tags = previous[1]
            elif number - above > 3 or blanked[above].rstrip().endswith((";", "}")):
                break
            above -= 1
        previous = (number, tags)
        yield f"{path}:{number + 1}", sides_of(found[1], found[2]), tags


def operations(tree):
    for path, text in files(tree, "runtime/*.c", "runtime/*.h"):
        if path != ATOM_H:
            yield from tagged_operations(path, text)


@check("every ordered operation has a tag", {
    "runtime/flow/a.c": "void f(void)\n{\n    atom_store_release(&x, 1);\n}\n"})
def tags_present(tree):
    for where, _, tags in operations(tree):
        if not tags:
            yield f"{where}: no [tag] beside or just above"


@check("every tag has a release and an acquire side", {
    "runtime/flow/a.c": "/* [ring.fill] release -> nobody */\natom_store_release(&x, 1);\n"})
def tags_paired(tree):
    sides, places = {}, {}
    for where, side, tags in operations(tree):
        for tag in tags:
            sides.setdefault(tag, set()).update(side)
            places.setdefault(tag, where)
    for tag in sorted(sides):
        for side, word in (("r", "release"), ("a", "acquire")):
            if side not in sides[tag]:
                yield f"{places[tag]}: [{tag}] has no {word} side"


# ---- layouts

FIELD = re.compile(
    r"(const )?(u?int(8|16|32|64)_t|atom32|atom64|char|struct \w+_shm)( \w+(\[[^\]]*\])*,?)+;")


def struct_bodies(text):
    """(line, text) of each line inside a struct or union."""
    depth = 0
    for number, line in enumerate(code(text).splitlines(), 1):
        line = line.strip()
        if re.match(r"(typedef )?(struct|union)\b.*\{$", line):
            depth += 1
        elif line.startswith("}") and depth:
            depth -= 1
        elif depth and line and not line.startswith("#"):
            yield number, line


# A thread's life is a mutex of the C library: the kernel marks it when the thread dies.
EXCEPTION = ("runtime/mem/peer_shm.h", "pthread_mutex_t mutex;")


@check("structs in the segment have fields of fixed width and no pointers", {
    "runtime/mem/a_shm.h": "struct a_shm {\n    uint32_t fine;\n    size_t size;\n};\n"})
def fixed_width(tree):
    for path, text in files(tree, "runtime/*_shm.h"):
        for number, line in struct_bodies(text):
            if not FIELD.fullmatch(line) and (path, line) != EXCEPTION:
                yield f"{path}:{number}: {line}"


@check("the size of each struct in the segment is asserted", {
    "runtime/mem/a_shm.h": "struct a_shm {\n    uint32_t x;\n};\n"})
def asserted(tree):
    for path, text in files(tree, "runtime/*_shm.h"):
        for name in re.findall(r"^struct (\w+_shm) \{", text, re.M):
            if not re.search(r"static_assert\([^;]*sizeof\(struct " + name + r"\)", text, re.I):
                yield f"{path}: no static_assert on sizeof(struct {name})"


main()
