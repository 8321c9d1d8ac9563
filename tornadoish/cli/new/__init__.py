"""``tornadoish new NAME``: writes a small project that runs, and passes its own test, at once."""

from tornadoish.cli.new.command import new

__all__ = ["new"]
