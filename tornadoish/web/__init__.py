"""The web framework: applications and request handlers (Tornado: tornado.web)."""

from tornadoish.web.application import (
    Application,
    _ApplicationRouter,
    _HandlerDelegate,
    url,
)
from tornadoish.web.bodies import MultipartStream, Part, Upload
from tornadoish.web.compression import ContentEncoding, GZipContentEncoding
from tornadoish.web.decorators import addslash, authenticated, removeslash
from tornadoish.web.errors import Finish, HTTPError, MissingArgumentError
from tornadoish.web.handler import (
    RequestHandler,
    _has_stream_request_body,
    pull_request_body,
    stream_request_body,
)
from tornadoish.web.modules import TemplateModule, UIModule
from tornadoish.web.signing import (
    DEFAULT_SIGNED_VALUE_MIN_VERSION,
    DEFAULT_SIGNED_VALUE_VERSION,
    create_signed_value,
    decode_signed_value,
    get_signature_key_version,
)
from tornadoish.web.simple import ErrorHandler, FallbackHandler, RedirectHandler, redirect
from tornadoish.web.static.handler import StaticFileHandler
from tornadoish.web.templates import Jinja2Loader
from tornadoish.web.transforms import OutputTransform

__all__ = [
    "DEFAULT_SIGNED_VALUE_MIN_VERSION",
    "DEFAULT_SIGNED_VALUE_VERSION",
    "Application",
    "ContentEncoding",
    "ErrorHandler",
    "FallbackHandler",
    "Finish",
    "GZipContentEncoding",
    "HTTPError",
    "Jinja2Loader",
    "MissingArgumentError",
    "MultipartStream",
    "OutputTransform",
    "Part",
    "RedirectHandler",
    "RequestHandler",
    "StaticFileHandler",
    "TemplateModule",
    "UIModule",
    "Upload",
    "_ApplicationRouter",
    "_HandlerDelegate",
    "_has_stream_request_body",
    "addslash",
    "authenticated",
    "create_signed_value",
    "decode_signed_value",
    "get_signature_key_version",
    "pull_request_body",
    "redirect",
    "removeslash",
    "stream_request_body",
    "url",
]
