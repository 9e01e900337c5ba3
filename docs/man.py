"""Man pages from the public headers: one page in section 3 for each function.

usage: man.py HEADER... OUTPUT_FOLDER VERSION
       man.py --list HEADER...

The comment above a function is the page: "name - what it does.", one "@parameter: ..." each, then
the labels. tests/lint/headers.py checks that none is missing, with the parser below.
"""
import re
import sys
from dataclasses import dataclass
from pathlib import Path

LABELS = ["Owns", "Blocks", "Safe", "Death", "Returns", "Python"]
HEADINGS = {"Owns": "OWNERSHIP", "Blocks": "BLOCKING", "Safe": "SAFETY", "Death": "DEATH",
            "Returns": "RETURN VALUE", "Python": "PYTHON"}

DECLARATION = re.compile(
    r"(?:/\*\n((?: \*[^\n]*\n)*?) \*/\n)?^((?:SHOAL_API|SHOAL_MUST) [^;(]*\([^;]*;)", re.M)


@dataclass
class Function:
    name: str
    header: str
    declaration: str
    parameters: list  # names, as declared
    summary: str
    described: list   # (parameter, text), as in the comment
    labels: list      # (label, text), as in the comment


def parse_parameters(declaration):
    inside = declaration[declaration.index("(") + 1:]
    depth, end = 1, 0
    while depth:
        depth += {"(": 1, ")": -1}.get(inside[end], 0)
        end += 1
    names = []
    for part in re.split(r",(?![^(]*\))", inside[:end - 1]):
        part = part.strip()
        if part not in ("void", "..."):
            names.append(re.search(r"(\w+)\W*$", re.sub(r"\(\*(\w+)\)\(.*", r"\1", part))[1])
    return names


def parse_comment(text):
    """Summary, parameters and labels; a line that begins with neither continues the one before."""
    summary, described, labels, current = "", [], [], None
    for line in text.splitlines():
        line = line.removeprefix(" *").strip()
        if found := re.match(r"@(\w+):\s*(.*)", line):
            current = described
        elif (found := re.match(r"([A-Z][a-z]+):\s+(.*)", line)) and found[1] in LABELS:
            current = labels
        elif current:
            current[-1] = (current[-1][0], current[-1][1] + " " + line)
            continue
        else:
            summary = (summary + " " + line).strip()
            continue
        current.append((found[1], found[2]))
    return summary, described, labels


def functions(header, text):
    """Every exported function of a header, in its order."""
    for found in DECLARATION.finditer(text):
        declaration = " ".join(found[2].split())
        name = re.search(r"(\w+)\(", declaration)[1]
        summary, described, labels = parse_comment(found[1] or "")
        yield Function(name, header, declaration, parse_parameters(declaration),
                       summary.removeprefix(f"{name} - "), described, labels)


# ---- troff

def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti")
    return "\\&" + text if text.startswith((".", "\\(aq")) else text


def prose(text):
    """Parameters in italics, other functions in bold."""
    text = escape(text)
    text = re.sub(r"@(\w+)", r"\\fI\1\\fR", text)
    return re.sub(r"\b(shoal_\w+)\(\)", r"\\fB\1\\fR(3)", text)


def synopsis(declaration):
    plain = re.sub(r"^(SHOAL_API|SHOAL_MUST) ", "", declaration)
    plain = re.sub(r" __attribute__\(\(.*\)\);$", ";", plain)
    head, _, rest = plain.partition("(")
    parts = re.split(r", (?![^(]*\))", rest)
    separator = ",\n" + " " * (len(head) + 1)
    return head + "(" + (separator if len(plain) > 76 else ", ").join(parts)


def page(function, version, see_also):
    lines = [f".TH {function.name.upper()} 3 \"\" \"shoal {version}\" \"shoal\"",
             ".SH NAME", f"{function.name} \\- {escape(function.summary.rstrip('.'))}",
             ".SH LIBRARY", "shoal (\\fIlibshoal\\fR, \\fI\\-lshoal\\fR)",
             ".SH SYNOPSIS", ".nf", f"\\fB#include <{function.header}>\\fR", ".PP",
             *(f"\\fB{escape(line)}\\fR" for line in synopsis(function.declaration).split("\n")),
             ".fi"]
    if function.described:
        lines.append(".SH PARAMETERS")
        for name, text in function.described:
            lines += [".TP", f"\\fI{name}\\fR", prose(text)]
    for label, text in function.labels:
        lines.append(f".SH {HEADINGS[label]}")
        if label == "Returns":  # one code a line
            for part in text.split("; "):
                lines += [prose(part), ".br"]
            lines.pop()
        else:
            lines.append(prose(text[:1].upper() + text[1:]))
    if see_also:
        lines += [".SH SEE ALSO", ",\n".join(f"\\fB{name}\\fR(3)" for name in see_also)]
    return "\n".join(lines) + "\n"


def read(headers):
    """Functions of all headers, each as <shoal/x.h>."""
    for path in headers:
        yield from functions(f"shoal/{Path(path).name}", Path(path).read_text())


def main(arguments):
    if arguments[0] == "--list":
        print("\n".join(function.name for function in read(arguments[1:])))
        return
    *headers, folder, version = arguments
    everything = list(read(headers))
    for function in everything:
        see_also = [other.name for other in everything
                    if other.header == function.header and other is not function]
        Path(folder, f"{function.name}.3").write_text(page(function, version, see_also))


if __name__ == "__main__":
    main(sys.argv[1:])
