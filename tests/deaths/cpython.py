"""One process is killed: what becomes of the others, with CPython's multiprocessing.

cpython.py CASE SECONDS runs one of the functions below as deaths.c runs its own: it prints the
microseconds since the death and what happened, and ends with 0 (all as a user hopes), 1 (wrong) or
2 (lost). Ended by SIGALRM it hangs, so many seconds after the death: then what it printed last is
what it does. As in most programs no call has a timeout, but one that shows that a queue is empty.
"""
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from queue import Empty

FINE, WRONG, LOST = range(3)
mp = multiprocessing.get_context("fork")  # as shoal
case, seconds = sys.argv[1], int(sys.argv[2])
told, tell = os.pipe()


def sleeps(pid):
    """Only reads its state: multiprocessing has nothing that tells who waits inside a call."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def start(target, *arguments):
    """A process that says when it is there; returns when it sleeps."""
    process = mp.Process(target=target, args=arguments, daemon=True)
    process.start()
    os.read(told, 1)
    while not sleeps(process.pid):
        time.sleep(0.001)  # a pace only: it is on its way
    return process


def keeps(take):
    take()
    os.write(tell, b"!")
    signal.pause()


def waits(call, *arguments):
    os.write(tell, b"!")
    call(*arguments)


def death_begins():
    global death
    death = time.monotonic()
    signal.alarm(seconds)


def is_killed(process):
    death_begins()
    process.kill()
    process.join()


def says(text):
    print(text, flush=True)


def lock():
    lock = mp.Lock()
    is_killed(start(keeps, lock.acquire))
    says("the next `acquire()` never returns")
    lock.acquire()
    return FINE, "the next one has it"


def queue():
    queue = mp.Queue()
    victim, other = start(waits, queue.get), start(waits, queue.get)
    is_killed(victim)
    queue.put("message")
    says(f"no other `get()` returns, and `qsize()` is {queue.qsize()}")
    other.join()
    return FINE, "the other reader has the message"


def waits_in(condition):
    with condition:
        condition.wait()


def condition():
    condition = mp.Condition()
    is_killed(start(waits, waits_in, condition))
    says("the next `notify()` never returns")
    with condition:
        condition.notify()
    return FINE, "`notify()` returns"


def event():
    event = mp.Event()
    victim, other = start(waits, event.wait), start(waits, event.wait)
    is_killed(victim)
    says("the next `set()` never returns")
    event.set()
    other.join()
    return FINE, "`set()` returns"


def semaphore():
    semaphore = mp.Semaphore(1)
    is_killed(start(keeps, semaphore.acquire))
    says("its permit never comes back")
    semaphore.acquire()
    return FINE, "its permit comes back"


def barrier():
    barrier = mp.Barrier(2)
    is_killed(start(waits, barrier.wait))
    says("the dead one counts, and `wait()` never returns")
    barrier.wait()
    return WRONG, "who comes passes together with the dead one"


def joinable_queue():
    queue = mp.JoinableQueue()
    queue.put("message")
    is_killed(start(keeps, queue.get))
    says("`join()` never returns")
    queue.join()
    return FINE, "`join()` returns"


def task():
    os.write(tell, os.getpid().to_bytes(4, "little"))
    signal.pause()


def pool():
    workers = mp.Pool(2)
    result = workers.apply_async(task)
    victim = int.from_bytes(os.read(told, 4), "little")
    death_begins()
    os.kill(victim, signal.SIGKILL)
    says("the result never comes")
    result.wait()
    return FINE, "the result is an error"


def exit_after_put():
    queue = mp.Queue()

    def puts_and_exits():
        queue.put("message")
        os._exit(3)

    process = mp.Process(target=puts_and_exits)
    process.start()
    death_begins()
    process.join()
    try:
        return FINE, f"the {queue.get(timeout=seconds / 2)} is there"
    except Empty:
        return LOST, f"the message never comes, and `qsize()` is {queue.qsize()}"


def manager():
    manager = mp.Manager()
    shared = manager.dict(key="value")
    is_killed(manager._process)
    try:
        return FINE, f"its dict still has the {shared['key']}"
    except (OSError, EOFError) as error:
        return LOST, f"every access is a {type(error).__name__}"


def fails():
    os.write(tell, b"!")
    raise RuntimeError


def initializer():
    death_begins()
    workers = mp.Pool(4, initializer=fails)
    result = workers.apply_async(os.getpid)
    signal.alarm(0)  # counts first
    result.wait(seconds)
    if result.ready():
        return FINE, "the result is an error"
    says(f"{len(os.read(told, 65536))} workers started in {seconds} s, and never a result")
    signal.raise_signal(signal.SIGALRM)


death_begins()  # a limit also for what comes before it
try:
    verdict, happened = globals()[case]()
except Exception as error:
    verdict, happened = WRONG, f"{type(error).__name__}: {error}"
says(f"{(time.monotonic() - death) * 1e6:.0f} {happened}")
os._exit(verdict)  # exit handlers would wait for the others
