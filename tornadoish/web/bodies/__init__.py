"""Bodies that a handler is given as they arrive, or reads itself: by the piece, or by the part."""

from tornadoish.web.bodies.parts import MultipartStream, Part
from tornadoish.web.bodies.pulled import PulledBody
from tornadoish.web.bodies.pushed import PushedBody
from tornadoish.web.bodies.storing import Upload

__all__ = ["MultipartStream", "Part", "PulledBody", "PushedBody", "Upload"]
