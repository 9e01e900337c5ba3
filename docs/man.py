"""Man pages from the public headers: in section 3 one for each function, in section 7 one for each
header.

usage: man.py HEADER... OUTPUT_FOLDER VERSION
       man.py --list HEADER...

The comment above a function is its page: "name - what it does.", one "@parameter: ..." each, then
the labels; and the types that it is declared with. tests/lint/headers.py checks that none is
missing, with the parser below. The comment that opens a header is its page, with all that is
declared there.
"""
import re
import sys
from dataclasses import dataclass
from pathlib import Path

LABELS = ["Owns", "Blocks", "Safe", "Death", "Returns", "Python"]
HEADINGS = {"Owns": "OWNERSHIP", "Blocks": "BLOCKING", "Safe": "SAFETY", "Death": "DEATH",
            "Returns": "RETURN VALUE", "Python": "PYTHON"}

TYPE = re.compile(r"^typedef struct \{\n.*?^\} (\w+);", re.M | re.S)
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
    types: list       # the code of each type of this header that it is declared with


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


def types_of(declaration, types):
    """The code of the types that it names, and of those that these name: they stand before."""
    found = []
    for name, code in reversed(types.items()):
        if any(re.search(rf"\b{name}\b", text) for text in [declaration, *found]):
            found.append(code)
    return found[::-1]


def functions(header, text):
    """Every exported function of a header, in its order."""
    types = {found[1]: found[0] for found in TYPE.finditer(text)}
    for found in DECLARATION.finditer(text):
        declaration = " ".join(found[2].split())
        name = re.search(r"(\w+)\(", declaration)[1]
        summary, described, labels = parse_comment(found[1] or "")
        yield Function(name, header, declaration, parse_parameters(declaration),
                       summary.removeprefix(f"{name} - "), described, labels,
                       types_of(declaration, types))


@dataclass
class Header:
    name: str          # shoal_queue, of <shoal/queue.h>
    path: str
    paragraphs: list   # of the comment that opens it
    declarations: str  # all that is neither a function nor its comment
    functions: list


def header_of(path, text):
    name = Path(path).stem
    comment = re.match(r"/\*\n?(.*?)\*/", text, re.S)
    lines = re.sub(r"^ \*(?: |$)", "", comment[1], flags=re.M).strip()
    inside = re.search(r"SHOAL_BEGIN_DECLS\n(?!#)(.*)SHOAL_END_DECLS\n#endif", text, re.S)
    declarations = DECLARATION.sub("", inside[1] if inside else "")
    declarations = re.sub(r"^/\* (clang-format|NOLINT).*\n", "", declarations, flags=re.M)
    return Header(name if name == "shoal" else f"shoal_{name}", path, lines.split("\n\n"),
                  re.sub(r"\n{3,}", "\n\n", declarations).strip(), list(functions(path, text)))


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


def code(text):
    return [".EX", *map(escape, text.split("\n")), ".EE"]


def see_also(pages):
    return [".SH SEE ALSO", ",\n".join(f"\\fB{name}\\fR({section})" for name, section in pages)]


def first_sentence(text):
    words = re.split(r"[.:](?:\s|$)", " ".join(text.split()))[0]
    return words[:1].lower() + words[1:]


def function_page(function, header):
    lines = [".SH NAME", f"{function.name} \\- {escape(function.summary.rstrip('.'))}",
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
        elif label == "Python":  # names of another language
            lines.append(prose(text))
        else:
            lines.append(prose(text[:1].upper() + text[1:]))
    if function.types:
        lines += [".SH TYPES", *code("\n\n".join(function.types))]
    return lines + see_also([(header.name, 7), *((other.name, 3) for other in header.functions
                                                 if other is not function)])


def header_page(header, others):
    lines = [".SH NAME", f"{header.name} \\- {escape(first_sentence(header.paragraphs[0]))}",
             ".SH SYNOPSIS", f"\\fB#include <{header.path}>\\fR", ".SH DESCRIPTION"]
    for paragraph in header.paragraphs:
        lines += [".PP", *(code(paragraph) if paragraph.startswith(" ") else [prose(paragraph)])]
    if header.declarations:
        lines += [".SH DECLARATIONS", *code(header.declarations)]
    if header.functions:
        lines.append(".SH FUNCTIONS")
        for function in header.functions:
            lines += [".TP", f"\\fB{function.name}\\fR(3)", prose(function.summary)]
    return lines + see_also([(other.name, 7) for other in others])


def write_page(folder, name, section, version, lines):
    title = f".TH {name.upper()} {section} \"\" \"shoal {version}\" \"shoal\""
    Path(folder, f"{name}.{section}").write_text("\n".join([title, *lines]) + "\n")


def read(headers):
    """All headers, each as it is included."""
    return [header_of(re.search(r"(shoal/)?[^/]*$", str(path))[0], Path(path).read_text())
            for path in headers]


def main(arguments):
    if arguments[0] == "--list":
        for header in read(arguments[1:]):
            print(f"{header.name}.7", *(f"{function.name}.3" for function in header.functions),
                  sep="\n")
        return
    *headers, folder, version = arguments
    everything = read(headers)
    for header in everything:
        others = [other for other in everything if other is not header]
        write_page(folder, header.name, 7, version, header_page(header, others))
        for function in header.functions:
            write_page(folder, function.name, 3, version, function_page(function, header))


if __name__ == "__main__":
    main(sys.argv[1:])
