"""Prints the system calls of docs/embedding.md as lines of C: CALL(name, is_optional)

usage: confined_calls.py PAGE
"""
import re
import sys
from pathlib import Path


def listed(page):
    """name -> is optional; a call that some part needs is not."""
    calls = {}
    for line in page.split("## System calls")[1].split("\n## ")[0].splitlines():
        if line.startswith("| "):
            _, _, needed, optional, _ = line.split("|")
            for column, is_optional in ((needed, False), (optional, True)):
                for name in re.findall(r"`(\w+)`", column):
                    calls[name] = calls.get(name, True) and is_optional
    return calls


if __name__ == "__main__":
    for call, may_fail in sorted(listed(Path(sys.argv[1]).read_text()).items()):
        print(f"#ifdef SYS_{call}\nCALL({call}, {str(may_fail).lower()})\n#endif")
