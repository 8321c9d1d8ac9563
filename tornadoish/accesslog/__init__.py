"""The access log: one line for each request, however it ended (ours alone, not Tornado's).

``AccessLog`` is an observer of a server and writes to a logger of its own, ``tornadoish.access``::

    logger = logging.getLogger("tornadoish.access")
    logger.setLevel(logging.INFO)
    logger.propagate = False  # not to whatever else the process logs
    logger.addHandler(LineHandler("access.log"))  # without a path: standard output
    server = HTTPServer(application, observers=[AccessLog("json")])

``Application.log_request`` and its logger ``tornado.access`` are another thing: called by handlers,
for requests that got as far as a handler, as in Tornado.
"""

from tornadoish.accesslog.lines import LineHandler
from tornadoish.accesslog.log import COMBINED, COMMON, LOGGER, TEXT, AccessLog, Format, formatter
from tornadoish.accesslog.patterns import compile_pattern

__all__ = [
    "COMBINED",
    "COMMON",
    "LOGGER",
    "TEXT",
    "AccessLog",
    "Format",
    "LineHandler",
    "compile_pattern",
    "formatter",
]
