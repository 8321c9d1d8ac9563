"""What the modules that may be compiled (by mypyc, see ``docs/compiled.md``) say to the compiler.

Imported by those modules; each means nothing where they are interpreted, as they always can be.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

#: true to the compiler (``always_true`` in its configuration), and to nobody else
COMPILING = False

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr as mypyc_attr
else:

    def mypyc_attr(**attributes):
        """What a class is to be when it is compiled; its name and place are the compiler's."""
        return lambda decorated: decorated


# A compiled function refuses arguments of other types than it says before it is called, and so does
# an attribute. Where applications may give what they like, or our own words say what is wrong, the
# compiler is told of none.
if TYPE_CHECKING and not COMPILING:
    Text = str
    Data = bytes
    Flag = bool
    Nothing: TypeAlias = None  # what is returned where whatever is returned means nothing
else:
    Text = Any
    Data = Any
    Flag = Any
    Nothing = Any


def is_compiled() -> bool:
    """Whether the parts of this installation that may be compiled are."""
    spec = find_spec("tornadoish.buffer")  # one for all: they are compiled together
    return spec is not None and not str(spec.origin).endswith(".py")


# The rest is between our modules and the compiler.
__all__ = ["is_compiled"]
