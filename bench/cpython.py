"""The benchmark's two jobs by CPython's multiprocessing: prints seconds and what was found.

    cpython.py words WORKERS <LIST    counts the words of the files in the list
    cpython.py pipe|queue RECORDS     passes records through a pipeline of four stages

As fast as is usual there: bytes, not text, and the C functions of re, Counter, translate and zlib.
"""
import multiprocessing
import re
import sys
import time
import zlib
from collections import Counter

CHUNK = 256 * 1024  # fewer, larger messages than in C, as each costs much more
IN_FLIGHT = 16
MASK = (1 << 64) - 1


# ---- word count: wordcount.h

def read(paths, chunks, workers):
    held, size = [], 0
    for path in paths:
        with open(path, "rb") as file:
            held.append(file.read())
        size += len(held[-1])
        if size >= CHUNK:
            chunks.put(b"\n".join(held))
            held, size = [], 0
    chunks.put(b"\n".join(held))
    for _ in range(workers):
        chunks.put(None)


def count(chunks, tables):
    word = re.compile(rb"[a-z0-9_]+")
    while (chunk := chunks.get()) is not None:
        tables.put(Counter(word.findall(chunk.lower())))
    tables.put(None)


def words(workers):
    paths = sys.stdin.buffer.read().splitlines()
    began = time.perf_counter()
    chunks = multiprocessing.Queue(IN_FLIGHT * workers)
    tables = multiprocessing.Queue(IN_FLIGHT * workers)
    crew = [multiprocessing.Process(target=read, args=(paths, chunks, workers))]
    crew += [multiprocessing.Process(target=count, args=(chunks, tables)) for _ in range(workers)]
    for process in crew:
        process.start()
    total = Counter()
    while workers > 0:
        if (table := tables.get()) is None:
            workers -= 1
        else:
            total.update(table)
    for process in crew:
        process.join()
    return time.perf_counter() - began, sum(total.values())


# ---- the pipeline: pipeline.h

def made(records):
    """As make_record() in pipeline.c."""
    pattern = bytes((i * 131 ^ i >> 8) & 255 for i in range(2 << 16))
    random = 1
    for _ in range(records):
        random = (random * 6364136223846793005 + 1442695040888963407) & MASK
        least = 64 << (random >> 33) % 10
        begin = (random >> 17) % (1 << 16)
        yield pattern[begin:begin + least + (random >> 40) % least]


def make(records, put):
    for record in made(records):
        put(record)
    put(b"")


def translate(get, put):
    table = bytes(i ^ 0x20 if chr(i).isascii() and chr(i).isalpha() else i for i in range(256))
    while record := get():
        put(record.translate(table))
    put(b"")


def add_sum(get, put):
    while record := get():
        put(record + zlib.adler32(record).to_bytes(4, "little"))
    put(b"")


def check(get):
    digest = 0
    while record := get():
        found = zlib.adler32(memoryview(record)[:-4])
        if found != int.from_bytes(record[-4:], "little"):
            sys.exit("a record is damaged")
        digest += found
    return digest & MASK


def link(kind):
    """(put, get) of a link."""
    if kind == "queue":
        queue = multiprocessing.Queue(IN_FLIGHT)
        return queue.put, queue.get
    receiving, sending = multiprocessing.Pipe(duplex=False)
    return sending.send_bytes, receiving.recv_bytes


def pipeline(kind, records):
    began = time.perf_counter()
    links = [link(kind) for _ in range(3)]
    stages = [(make, (records, links[0][0])), (translate, (links[0][1], links[1][0])),
              (add_sum, (links[1][1], links[2][0]))]
    crew = [multiprocessing.Process(target=stage, args=arguments) for stage, arguments in stages]
    for process in crew:
        process.start()
    digest = check(links[2][1])
    for process in crew:
        process.join()
    return time.perf_counter() - began, digest


multiprocessing.set_start_method("fork")
KIND, NUMBER = sys.argv[1], int(sys.argv[2])
print(*(words(NUMBER) if KIND == "words" else pipeline(KIND, NUMBER)))
