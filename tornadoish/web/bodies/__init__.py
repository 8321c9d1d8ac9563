"""Bodies that a handler reads itself: piece by piece, or part by part if they are multipart.

Nothing of this is Tornado's.
"""

from tornadoish.web.bodies.parts import MultipartStream, Part
from tornadoish.web.bodies.pulled import PulledBody
from tornadoish.web.bodies.storing import Upload

__all__ = ["MultipartStream", "Part", "PulledBody", "Upload"]
