"""Every function that the library calls and that can fail fails in a test.

usage: calls.py ARCHIVE FUNCTION...

The functions are those that tests/fault/refusals.c wraps. What the archive needs besides them must
stand here with the reason why it is not made to fail: a new call cannot be forgotten.
"""
import re
import subprocess
import sys

from lint import ROOT, Tap, files, read_tree

sys.path.insert(0, str(ROOT / "tests/proc"))
from confined_calls import listed

NOT_WRAPPED = {
    "has no failure": """
        __errno_location __fpending __fpurge __sched_cpucount _exit abort dl_iterate_phdr exit
        getegid geteuid getpid getppid gettid raise sched_yield secure_getenv memchr memcmp
        memcpy memmove memset qsort sigabbrev_np strchr strcmp strerrordesc_np strcspn strlen
        strnlen strrchr strstr strtoul strtoull""",
    "fails only for a wrong argument": """
        clock_gettime closedir prctl pthread_sigmask setpgid shutdown sigaction sigfillset snprintf
        unsetenv
        vsnprintf""",
    "called as often as the machine has processes: see proc/test_tree.c": "opendir readdir64",
    "only in exec'd processes: see proc/test_exec.c and crash/test_starts_kill.c":
        "dlopen",
    "tells of the end of the process, to stderr: nobody is left to hear of it":
        "fprintf fputc fwrite vfprintf",
    "tells the log of what happens: nobody is told if it cannot": "write",
    "a shorter pause does no harm": "nanosleep",
    "fails only to say something of a mutex's owner": """
        pthread_mutex_consistent pthread_mutex_init pthread_mutex_lock pthread_mutex_trylock
        pthread_mutex_unlock pthread_mutexattr_destroy pthread_mutexattr_init
        pthread_mutexattr_setpshared pthread_mutexattr_setrobust""",
    "the compiler's and the linker's": "_GLOBAL_OFFSET_TABLE_ __tls_get_addr",
    "liburcu's: answers nothing": """
        urcu_bp_after_fork_child urcu_bp_after_fork_parent urcu_bp_before_fork urcu_bp_read_lock
        urcu_bp_read_unlock urcu_bp_synchronize_rcu""",
    "jemalloc's, there or not: refused as realloc is": "dallocx mallctl mallocx rallocx",
    "a variable": "environ stderr stdin stdout",
}


def problems_of(needed, wrapped):
    """Both ways: what nobody lets fail, and what is listed but not called any more."""
    excused = {name for names in NOT_WRAPPED.values() for name in names.split()}
    for name in sorted(needed - wrapped - excused):
        yield f"{name} is called, but no test lets it fail: see tests/fault/refusals.c"
    for name in sorted((wrapped | excused) - needed):
        yield f"{name} is listed, but not called"
    for name in sorted(wrapped & excused):
        yield f"{name} is wrapped and excused"


# Where the C library's function is not the system call of its name.
CALLS = {"fork": "clone", "getrlimit64": "prlimit64", "lstat64": "newfstatat",
         "nanosleep": "clock_nanosleep", "nice": "setpriority", "open64": "openat",
         "opendir": "openat", "raise": "tgkill", "readdir64": "getdents64",
         "setrlimit64": "prlimit64", "sigaction": "rt_sigaction"}


def unlisted(functions, tree, page):
    """System calls that docs/embedding.md, from which filters are made, does not list."""
    macros = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c",
                             "/dev/null"], stdout=subprocess.PIPE, text=True, check=True).stdout
    known = set(re.findall(r"define SYS_(\w+)", macros))
    made = {CALLS.get(name, name if name in known else name.removesuffix("64"))
            for name in functions} & known
    for _, text in files(tree, "runtime/*.c"):
        made |= set(re.findall(r"SYS_(\w+)", text))
    for name in sorted(made - set(listed(page))):
        yield f"{name}: made by the library, but not listed in docs/embedding.md"


def symbols(archive, option):
    text = subprocess.run(["nm", option, archive], stdout=subprocess.PIPE, text=True, timeout=60,
                          check=True).stdout
    return {words[-1] for words in map(str.split, text.splitlines()) if len(words) > 1}


def main(archive, *wrapped):
    tap = Tap()
    needed = symbols(archive, "--undefined-only") - symbols(archive, "--defined-only")
    tap.result("every function that can fail fails in a test",
               list(problems_of(needed, set(wrapped))))
    for what, seeded in (("a new call", problems_of(needed | {"mlock"}, set(wrapped))),
                         ("a call that is gone", problems_of(needed - {"poll"}, set(wrapped))),
                         ("a function that is not wrapped any more",
                          problems_of(needed, set(wrapped) - {"poll"}))):
        tap.result(f"{what} is noticed", [] if list(seeded) else ["it is not"])
    tree = read_tree()
    page = tree["docs/embedding.md"]
    tap.result("every system call is listed", list(unlisted(needed, tree, page)))
    tap.result("one that is not listed is noticed",
               [] if list(unlisted(needed | {"mlock"}, tree, page)) else ["it is not"])
    tap.end()


main(*sys.argv[1:])
