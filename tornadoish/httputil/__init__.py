"""The contract between protocols and applications, and the values they exchange.

Nothing in here knows a protocol version, a socket or a handler. Names and behaviour are those of
``tornado.httputil``.
"""

from tornadoish.httputil.cookies import parse_cookie
from tornadoish.httputil.delegates import (
    HTTPConnection,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
)
from tornadoish.httputil.errors import HTTPInputError, HTTPMessageError, HTTPOutputError
from tornadoish.httputil.forms import (
    HTTPFile,
    ParseBodyConfig,
    ParseMultipartConfig,
    ParseUrlEncodedConfig,
    parse_body_arguments,
    parse_multipart_form_data,
    set_parse_body_config,
)
from tornadoish.httputil.forwarded import (
    address_of_node,
    forwarded_from_last,
)
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.multipart import MultipartParser, PartHead
from tornadoish.httputil.multipart_delegate import MultipartDelegate
from tornadoish.httputil.negotiation import choose_coding, choose_media_type, quality_list
from tornadoish.httputil.observing import Ended, Exchange, Observer
from tornadoish.httputil.request import HTTPServerRequest
from tornadoish.httputil.startline import (
    RequestStartLine,
    ResponseStartLine,
    parse_request_start_line,
    parse_response_start_line,
)
from tornadoish.httputil.urls import (
    encode_username_password,
    format_timestamp,
    qs_to_qsl,
    responses,
    split_host_and_port,
    url_concat,
)

__all__ = [
    "Ended",
    "Exchange",
    "HTTPConnection",
    "HTTPFile",
    "HTTPHeaders",
    "HTTPInputError",
    "HTTPMessageDelegate",
    "HTTPMessageError",
    "HTTPOutputError",
    "HTTPServerConnectionDelegate",
    "HTTPServerRequest",
    "MultipartDelegate",
    "MultipartParser",
    "Observer",
    "ParseBodyConfig",
    "ParseMultipartConfig",
    "ParseUrlEncodedConfig",
    "PartHead",
    "RequestStartLine",
    "ResponseStartLine",
    "address_of_node",
    "choose_coding",
    "choose_media_type",
    "encode_username_password",
    "format_timestamp",
    "forwarded_from_last",
    "parse_body_arguments",
    "parse_cookie",
    "parse_multipart_form_data",
    "parse_request_start_line",
    "parse_response_start_line",
    "qs_to_qsl",
    "quality_list",
    "responses",
    "set_parse_body_config",
    "split_host_and_port",
    "url_concat",
]
