"""Prints the tables of docs/command-line.md from the table of options, so that it cannot drift.

python docs/print_options.py
"""

from __future__ import annotations

from itertools import groupby

from tornadoish.cli.options import OPTIONS, Option


def row(option: Option) -> str:
    """One option."""
    text = option.help.replace("|", "\\|")
    default = f"`{option.default}`" if option.default else ""
    if " " in option.default:
        default = option.default
    elsewhere = f"`{option.variable}`" if not option.only_typed else ""
    key = f"`{option.key}`" if option.in_file else ""
    return f"| `{option.usage}` | {text} | {default} | {elsewhere} | {key} |"


def tables() -> str:
    """One table for each group."""
    lines: list[str] = []
    for group, options in groupby(OPTIONS, key=lambda option: option.group):
        lines += ["", f"### {group}", ""]
        lines += ["| option | what it says | default | environment | in the file |"]
        lines += ["|---|---|---|---|---|", *map(row, options)]
    return "\n".join(lines[1:]) + "\n"


if __name__ == "__main__":
    print(tables(), end="")
