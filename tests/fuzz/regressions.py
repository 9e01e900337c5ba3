"""Inputs that once failed, and those by which a mistake must be found: see run.py.

They name regions, objects and calls. Which numbers these have, and where they lie, the program
says: so an input keeps its meaning when the tables of a segment change.
"""
import os
import struct
import subprocess

# As in fuzz.h.
WRITE, CALL = 1, 2
NUMBER, HANDLE, PEER_DEAD, REFERENCE, BLOCK = 0, 1, 5, 7, 9

SEGMENT, CHUNK, PAGE = 10 << 20, 2 << 20, 16 << 10
CHUNK_PAGES, CHUNK_LARGE, PAGE_RUN, BLOCK_OWNED = 2, 3, 2, 1
LAST_CHUNK = SEGMENT // CHUNK - 1
LAST_PAGE = CHUNK // PAGE - 1
LAST_PAGE_AT = SEGMENT - PAGE
BLOCKS_AT = 48  # where the header of a page's or chunk's first block lies
LARGE_CLASS = 44  # 80 KiB, in runs of many pages

# Words of 8 bytes, where not said otherwise: of an object's head, of a ring, of a slot's journal.
SELF, KIND_4 = 1, 4
STORE, ENDS_PUT, STORE_BITS, TAIL = 0, 5, 12, 16
VALUE_SIZE = 3  # of a queue, and in the upper half whether it has cells
JOURNAL_WORD = 1
DELIVERIES_4 = 10  # of a queue
META, CHILDREN = 1, 4  # of a block; their count in a table of them
KIND_SEMAPHORE, KIND_BARRIER = 4, 7


def store(offset, log2):
    """Where the cells of a dense ring lie, and how many."""
    return log2 << 40 | offset >> 4


class Scene:
    """What the program has prepared, by name; of equal names the first."""

    def __init__(self, program):
        self.numbers, self.values = {}, {}
        lines = subprocess.run([program], env={**os.environ, "SHOAL_FUZZ_PRINT": "1"}, check=True,
                               stdout=subprocess.PIPE, text=True).stdout.splitlines()
        for what, number, value, name in (line.split(" ", 3) for line in lines):
            self.numbers.setdefault((what, name), int(number))
            self.values.setdefault((what, name), int(value))

    def write(self, region, where, value, form=NUMBER, width=8):
        return struct.pack("<BBBBIQ", WRITE, form, self.numbers["region", region],
                           int(width == 4), where, value)

    def write4(self, region, where, value):
        return self.write(region, where, value, width=4)

    def call(self, name, value=0, form=NUMBER, number=0):
        return struct.pack("<BBBBIQ", CALL, form, self.numbers["call", name], 0, number, value)

    def call_on(self, name, thing):
        return self.call(name, self.numbers["object", thing], HANDLE)

    def call_with(self, name, payload):
        return self.call(name, number=2 * self.numbers["payload", payload])

    def offset(self, region):
        return self.values["region", region]

    def last_run(self, size_class):
        """A run that begins with the segment's last page."""
        return (self.write("chunk words", LAST_CHUNK, CHUNK_PAGES) +
                self.write("anywhere", LAST_CHUNK * CHUNK // 8 + LAST_PAGE,
                           LAST_PAGE << 56 | size_class << 48 | PAGE_RUN))

    def last_place(self, thing, kind):
        """An object of that kind in the segment's last place, in a run of such things."""
        return (self.last_run(self.values["object", thing]) +
                self.write("last place", SELF, self.offset("last place"), REFERENCE) +
                self.write4("last place", KIND_4, kind))

    def block(self, offset, size):
        """A block of this process, with its header at that offset."""
        return (self.write("anywhere", offset // 8, BLOCK_OWNED << 8, BLOCK) +
                self.write("anywhere", offset // 8 + 1, size))


def mistakes(scene):
    """For each an input: a check is left out, of a bound, of a generation, of the end of a loop."""
    write, write4, call, call_on = scene.write, scene.write4, scene.call, scene.call_on
    last_place = scene.offset("last place")
    return [
        # more parties than a barrier has places
        ("barrier.parties", write4("barrier", 10, 5000) + call_on("barrier_looks", "barrier")),
        # more owned permits than there are cells
        ("semaphore.limit",
         write4("owned semaphore", 10, 0x7fffffff) + call_on("semaphore_value", "owned semaphore")),
        # owned permits in the small place of a plain semaphore, at the segment's end
        ("semaphore.place",
         scene.last_place("semaphore", KIND_SEMAPHORE) +
         write4("last place", 10, 100) + write4("last place", 11, 1) +
         call("semaphore_release", last_place, REFERENCE)),
        # a barrier in the small place of a lock, at the segment's end
        ("object.pool",
         scene.last_place("lock", KIND_BARRIER) + write4("last place", 10, 1024) +
         call("barrier_looks", last_place, REFERENCE)),
        # a handle of the event that will live here next
        ("object.generation", call("event_set", scene.offset("event") | 1 << 40, REFERENCE)),
        # 2^39 messages, all in the same cell
        ("ring.cells",
         write("ring", STORE, store(scene.offset("cells"), 0)) + write("ring", TAIL, 1 << 39) +
         call_on("queue_destroy", "queue")),
        # 2^46 ends in the four cells of a queue of values, whose bits are that word of the ring
        ("ring.more",
         write("ring of values", STORE, store(scene.offset("ring of values"), 2)) +
         write("ring of values", ENDS_PUT, 1) + write("ring of values", STORE_BITS, 0xf) +
         write("ring of values", TAIL, 1 << 46) + call_on("queue_shutdown_now", "values")),
        # a run of blocks that reaches beyond the segment
        ("alloc.run",
         scene.last_run(LARGE_CLASS) + scene.block(LAST_PAGE_AT + BLOCKS_AT, CHUNK // 2) +
         call("ref_of", LAST_PAGE_AT + BLOCKS_AT + 16)),
        # likewise, for those who walk all runs
        ("runs.beyond",
         scene.last_run(LARGE_CLASS) + write("hints", 0, LAST_CHUNK + 1) + call("audit")),
        # a large block of more chunks than there are
        ("payload.room",
         write("chunk words", LAST_CHUNK, 9 << 32 | CHUNK_LARGE) +
         scene.block(LAST_CHUNK * CHUNK + BLOCKS_AT, 1 << 40) +
         call("ref_of", LAST_CHUNK * CHUNK + BLOCKS_AT + 16)),
        # a table of 2^40 children in a block of no bytes
        ("under.room",
         write("table of children", META, 0) + write("table of children", CHILDREN, 1 << 40) +
         scene.call_with("free_payload", "parent")),
        # an end whose messages are values of 64 bytes, which would be copied to where a word goes
        ("pipe.items",
         write("second end", VALUE_SIZE, 64) + call_on("connection_recv", "second end")),
        # likewise, or not in a ring at all
        ("pipe.items",
         write("second end", VALUE_SIZE, 1 << 32) + call_on("connection_poll", "second end")),
    ]


def others(scene):
    write, call, call_on = scene.write, scene.call, scene.call_on
    return [
        # a process's name without an end
        b"".join(write("process", word, 0x6161616161616161) for word in range(6, 15)) +
        call_on("process_name", "process"),
        # a payload that would begin at the segment's first byte
        call("ref_of"),
        # a journal whose message would begin at the segment's first byte
        write("slot", 6, 1, PEER_DEAD) + write("journal", JOURNAL_WORD, 1 << 63) + call("recover"),
        # 2^47 messages, each in a cell of its own, for those who only look; or in 2^63 cells
        *(write("ring", STORE, store(scene.offset("cells"), log2)) +
          write("ring", TAIL, 1 << 47) + call("audit") for log2 in (47, 63)),
        # a queue whose tail is behind its head
        write("ring", TAIL, 0) + call_on("queue_destroy", "queue"),
        # an end of a pipe that says that it is joinable
        (scene.write4("second end", DELIVERIES_4, 3) +
         call_on("connection_recv_bytes", "second end")),
        # a ring with a cell of a later lap: somebody counts it for ever, and nobody takes it
        (call_on("queue_shutdown_now", "words") + write("cells of words", 0, 1 << 40) +
         call_on("queue_shutdown_now", "words")),
    ]
