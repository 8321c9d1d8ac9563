"""Numbers of bytes, written for people and read from the command line."""

import argparse
import re


def human_size(size: int) -> str:
    """`size` bytes for people: "10 GiB"."""
    number, units = float(size), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while number >= 1024 and len(units) > 1:
        number, units = number / 1024, units[1:]
    return f"{number:.4g} {units[0]}"


def parse_size(text: str) -> int:
    """The opposite, as an argparse type: "10GiB", "500M" or "4096"; powers of 1024."""
    match = re.fullmatch(r"([0-9]{1,18}) ?(?:([KMGT])(?:i?B)?)?", text, re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"not a size: {text!r}; write 4096, 500M or 10GiB")
    return int(match[1]) << (10 * " KMGT".index((match[2] or " ").upper()))
