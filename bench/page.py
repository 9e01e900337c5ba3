#!/usr/bin/env python3
"""What a run of the benchmark found, as pictures and as pages.

    bench/page.py draw FOLDER             FOLDER/rows.tsv becomes pictures and FOLDER/index.html
    bench/page.py write FOLDER            it becomes docs/benchmarks.md
    bench/page.py check FOLDER            does docs/benchmarks.md have all its rows?
"""
import base64
import html
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/benchmarks.md"
LESS_IS_BETTER = {"ns", "us", "ratio"}
# They stand beside the rivals and do not count as the best one.
ASIDE = {"bare word", "bare futex", "ck mpmc, our wait", "sequential"}
PACKAGES = ["libck-dev", "libdpdk-dev", "libboost-dev", "libjemalloc2", "libmimalloc2.0", "libc6"]


def read(folder):
    """{row: {who: ([value, ...], unit)}}, in the order of the run."""
    found = {}
    for line in (folder / "rows.tsv").read_text().splitlines():
        row, who, value, unit = line.split("\t")
        found.setdefault(row, {}).setdefault(who, ([], unit))[0].append(float(value))
    return found


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def environment(folder):
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    version = re.search(r"version: '(.*)'", (ROOT / "meson.build").read_text())[1]
    commit = output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    rivals = [f"{name} {text}" for name in PACKAGES
              if (text := output("dpkg-query", "-W", "-f=${Version}", name))]
    when = time.strftime("%Y-%m-%d", time.localtime((folder / "rows.tsv").stat().st_mtime))
    return [f"{when}: {model[1] if model else platform.machine()}, {os.cpu_count()} processors, "
            f"Linux {platform.release()}",
            f"shoal {version}, commit {commit}; {output('cc', '--version').splitlines()[0]}",
            "rivals: " + ", ".join(rivals) + ", CPython " + output("python3", "-V").split()[-1]]


def number(value):
    for limit, letter in ((1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{letter}"
    return f"{value:.3g}"


def table(contenders):
    """Best first: (who, median, least .. most, ratio to the best rival)."""
    unit = next(iter(contenders.values()))[1]
    middles = {who: median(values) for who, (values, _) in contenders.items()}
    best = min if unit in LESS_IS_BETTER else max
    rivals = [middle for who, middle in middles.items()
              if not who.startswith("shoal") and who not in ASIDE]
    for who in sorted(middles, key=middles.get, reverse=best is max):
        values = contenders[who][0]
        ratio = f"{middles[who] / best(rivals):.2f}" if rivals and best(rivals) else ""
        yield who, number(middles[who]), f"{number(min(values))} .. {number(max(values))}", ratio


# ---- pictures

def line(found, pattern, who, scale=1):
    """(x, y) of one contender in all rows whose names match, x as the pattern says."""
    points = []
    for row, contenders in found.items():
        match = re.fullmatch(pattern, row)
        if match and who in contenders:
            points.append((size(match[1]), median(contenders[who][0]) * scale))
    return sorted(points)


def size(text):
    value, _, unit = text.partition(" ")
    return float(value) * {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]


def lines(found, pattern, scale=1):
    names = dict.fromkeys(who for row, contenders in found.items()
                          if re.fullmatch(pattern, row) for who in contenders)
    return {who: points for who in names if len(points := line(found, pattern, who, scale)) > 1}


def quantiles(found):
    pattern = r"latency busy RTT 8 B p(\d+) \(ns\)"
    return {who: sorted((y, x) for x, y in points) for who, points in lines(found, pattern).items()}


def by_parent(found):
    """The small parent's row names no size: it has about 4 MiB."""
    named = {re.sub(r"^start\+join \(us\)", "start+join, parent with 4 MiB (us)", row): contenders
             for row, contenders in found.items()}
    return lines(named, r"start\+join, parent with (\d+ .iB) \(us\)")


def pictures(found):
    """(file, title, x, y, further settings, lines)"""
    logarithmic = "set logscale xy\n"
    bytes_of = logarithmic + "set logscale x 2\nset xtics 8\nset format x '%.0b %BB'\n"
    peers = lines(found, r"growth, (\d+) peers asleep \(ns\)")
    return [
        ("size", "Throughput by message size, one process to another", "message",
         "messages a second", bytes_of + "set format y '%.0s %c'\n",
         lines(found, r"queue 1P1C (\d+ \w+) \(msg/s\)")),
        ("latency", "Round trip of two spinning processes", "nanoseconds", "percent of round trips",
         "set logscale x\nset yrange [0:100]\n", quantiles(found)),
        ("processes", "Messages of 8 bytes, so many senders and as many receivers on two cores",
         "senders", "messages a second",
         logarithmic + "set logscale x 2\nset xtics 2\nset format y '%.0s %c'\n",
         lines(found, r"queue (\d+)P\d+C 8 B \(msg/s\)")),
        ("waiting", "put+get of 8 bytes while messages wait", "messages waiting", "nanoseconds",
         logarithmic, lines(found, r"growth put\+get, (\d+) waiting \(ns\)")),
        ("alive", "free+alloc of a random one of many blocks of 64 bytes", "blocks alive",
         "nanoseconds", logarithmic, lines(found, r"growth alloc\+free 64 B, (\d+) alive \(ns\)")),
        ("peers", "An operation while other processes are attached, and sleep", "processes asleep",
         "nanoseconds", logarithmic, peers),
        ("start", "start+join by the parent's memory", "parent", "microseconds", bytes_of,
         by_parent(found)),
    ]


def gnuplot(folder, name, title, x, y, settings, drawn):
    script = ["set encoding utf8", "set grid", "set key outside right", settings,
              f'set title "{title}"', f'set xlabel "{x}"', f'set ylabel "{y}"']
    for index, (who, points) in enumerate(drawn.items()):
        script += [f"$d{index} << EOD", *(f"{a:g} {b:g}" for a, b in points), "EOD"]
    plots = ", ".join(f'$d{index} using 1:2 with linespoints linewidth '
                      f'{3 if who.startswith("shoal") else 1} title "{who}" noenhanced'
                      for index, who in enumerate(drawn))
    for terminal, ending in (("png size 900,480", "png"), ("svg size 900,480", "svg")):
        script += [f"set terminal {terminal}", f'set output "{folder / name}.{ending}"',
                   f"plot {plots}"]
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)


def page(folder, found, drawn):
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>shoal: benchmark</title>",
             "<style>body{font:15px/1.4 sans-serif;max-width:62em;margin:2em auto;padding:0 1em}"
             "table{border-collapse:collapse;margin:.3em 0 1.5em}td,th{padding:.1em 1em .1em 0;"
             "text-align:right}td:first-child,th:first-child{text-align:left}img{max-width:100%}"
             ".shoal{font-weight:bold}h3{margin:.2em 0}</style><h1>shoal: the benchmark</h1>"]
    parts += [f"<p>{html.escape(text)}</p>" for text in environment(folder)]
    if not drawn:
        parts.append("<p>No pictures: gnuplot is not installed.</p>")
    for name, title in drawn:
        data = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode()
        parts.append(f'<h3>{html.escape(title)}</h3>'
                     f'<img alt="{html.escape(title)}" src="data:image/svg+xml;base64,{data}">')
    for row, contenders in found.items():
        parts.append(f"<h3>{html.escape(row)}</h3><table><tr><th>who<th>median"
                     "<th>least .. most<th>to the best rival")
        for cells in table(contenders):
            ours = " class=shoal" if cells[0].startswith("shoal") else ""
            parts.append(f"<tr{ours}>" + "".join(f"<td>{html.escape(cell)}" for cell in cells))
        parts.append("</table>")
    (folder / "index.html").write_text("\n".join(parts) + "\n")


def draw(folder):
    found = read(folder)
    drawn = []
    if shutil.which("gnuplot") is None:
        print("shoal-bench: gnuplot is not installed: no pictures", file=sys.stderr)
    else:
        for name, title, *rest, points in pictures(found):
            if points:
                gnuplot(folder, name, title, *rest, points)
                drawn.append((name, title))
    page(folder, found, drawn)
    print(f"shoal-bench: {len(drawn)} pictures (PNG, SVG) and index.html are in {folder}",
          file=sys.stderr)


# ---- docs/benchmarks.md

HEAD = """# Benchmarks

Written by `bench/run --document`, which also draws it: see `build/bench/index.html` after a run.
Compare ratios, not absolutes. Each row has the median of its rounds, in which all contenders took
turns, the least and the most of them, and the median's ratio to the best rival's. In rows in ns and
us less is better. What grows, and why: [scaling.md](scaling.md).

- a message is copied in by its sender and out by its receiver, unless the row says uncopied;
- processes are pinned to the first two processors; what crosses them is measured while a cache
  line's round trip takes at most 160 ns, if the processors come so near within 40 tries;
- every message is counted and summed on both sides: a lost or doubled one fails the run;
- `shoal` of a queue are values, copied into the queue; `shoal payloads` blocks that it hands over;
- the cost of a fork grows with what the program that forks has touched, here what the rows before
  have left: `small program` is the same call in a program that does nothing else;
- `bare word` and `bare futex` are no rivals but what the machine can do at most, and `ck mpmc, our
  wait` is a rival given our way of waiting, to tell its part: they do not count as the best rival.

"""


def markdown(folder):
    yield HEAD
    yield from (f"- {text}\n" for text in [*environment(folder), "command: `bench/run --document`"])
    for row, contenders in read(folder).items():
        yield f"\n**{row}**\n\n| who | median | least .. most | to the best rival |\n"
        yield "|---|---|---|---|\n"
        yield from ("| " + " | ".join(cells) + " |\n" for cells in table(contenders))


def check(folder):
    written = set(re.findall(r"^\*\*(.*)\*\*$", DOCUMENT.read_text(), re.M))
    missing = [row for row in read(folder) if row not in written]
    for row in missing:
        print(f"{DOCUMENT.name} has no row: {row}", file=sys.stderr)
    return 1 if missing else 0


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("draw", "write", "check"):
        sys.exit(__doc__)
    folder = Path(sys.argv[2]).resolve()
    if sys.argv[1] == "draw":
        draw(folder)
    elif sys.argv[1] == "write":
        DOCUMENT.write_text("".join(markdown(folder)))
    else:
        sys.exit(check(folder))


main()
