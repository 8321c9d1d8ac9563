"""HTTPServerRequest: what an application sees of a request, and when it is computed."""

from __future__ import annotations

import importlib
import pickle
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from tornadoish.httputil import (
    HTTPFile,
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    RequestStartLine,
)
from tornadoish.httputil import request as request_module
from tornadoish.httputil.request_head import MAX_QUERY_ARGUMENTS, new_request, take_head

# Tornado 6.6 says of every way to make one by hand that it will change.
pytestmark = pytest.mark.filterwarnings("ignore:.*HTTPServerRequest:DeprecationWarning")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def made(httputil: Any, target: str = "/", method: str = "GET", **options: Any) -> Any:
    """A request as a server makes it."""
    headers = httputil.HTTPHeaders({"Host": "example.com", **options.pop("headers", {})})
    context = SimpleNamespace(remote_ip="1.2.3.4", protocol="https")
    return httputil.HTTPServerRequest(
        start_line=httputil.RequestStartLine(method, target, "HTTP/1.1"),
        headers=headers,
        connection=options.pop("connection", SimpleNamespace(context=context)),
        **options,
    )


# ---- The interface, over both ----------------------------------------------------------------


def test_documented_attributes(httputil: Any) -> None:
    before = time.time()
    request = made(httputil, "/a%20b?c=d&c=e%20f", "POST", body=b"g=h", headers=FORM)
    assert request.method == "POST"
    assert request.uri == "/a%20b?c=d&c=e%20f"
    assert request.path == "/a%20b"
    assert request.query == "c=d&c=e%20f"
    assert request.version == "HTTP/1.1"
    assert request.headers["host"] == "example.com"
    assert request.body == b"g=h"
    assert request.remote_ip == "1.2.3.4"
    assert request.protocol == "https"
    assert request.host == request.host_name == "example.com"
    assert request.query_arguments == {"c": [b"d", b"e f"]}
    assert request.full_url() == "https://example.com/a%20b?c=d&c=e%20f"
    assert request.connection.context.protocol == "https"
    assert request.server_connection is None
    assert dict(request.cookies) == {}
    request._parse_body()
    assert request.body_arguments == {"g": [b"h"]}
    assert request.arguments == {"c": [b"d", b"e f"], "g": [b"h"]}
    assert request.files == {}
    assert 0 <= request.request_time() <= time.time() - before + 1


def test_keywords(httputil: Any) -> None:
    """panel and graphene make them so."""
    request = httputil.HTTPServerRequest(
        method="GET", uri="/x?y=z", version="HTTP/1.1", headers=httputil.HTTPHeaders({"A": "b"}),
        body=b"body", host="own:80", files={"f": []}, connection=MagicMock(),
        server_connection=7,
    )  # fmt: skip
    assert (request.method, request.path, request.query) == ("GET", "/x", "y=z")
    assert (request.version, request.body, request.host) == ("HTTP/1.1", b"body", "own:80")
    assert request.host_name == "own"
    assert request.files == {"f": []}
    assert request.server_connection == 7
    assert request.arguments == {"y": [b"z"]}


def test_defaults(httputil: Any) -> None:
    """jupyter's tests make them so."""
    request = httputil.HTTPServerRequest("GET", "/", connection=MagicMock())
    assert request.version == "HTTP/1.0"
    assert len(request.headers) == 0
    assert request.body == b""
    assert request.host == "127.0.0.1"
    assert request.arguments == request.query_arguments == request.body_arguments == {}


def test_without_anything() -> None:
    request: Any = HTTPServerRequest()
    assert (request.method, request.uri, request.path, request.query) == (None, "/", "/", "")
    assert (request.remote_ip, request.protocol, request.host) == (None, "http", "127.0.0.1")
    assert request.full_url() == "http://127.0.0.1/"
    assert request.get_ssl_certificate() is None
    assert "HTTPServerRequest(protocol='http'" in repr(request)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/?a?b", "/", "a?b"),
        ("/a/b;c?d=e&f", "/a/b;c", "d=e&f"),
        ("//evil.com/x", "//evil.com/x", ""),
        ("/a://b", "/a://b", ""),
        ("/?u=http://x/", "/", "u=http://x/"),
        ("*", "*", ""),
    ],
)
def test_path_and_query(httputil: Any, target: str, path: str, query: str) -> None:
    request = made(httputil, target)
    assert (request.path, request.query) == (path, query)
    assert request.host == "example.com"


@pytest.mark.parametrize(
    ("host", "host_name"),
    [
        ("a.b", "a.b"),
        ("A.b:80", "a.b"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("1.2.3.4:80", "1.2.3.4"),
    ],
)
def test_host_name(httputil: Any, host: str, host_name: str) -> None:
    request = made(httputil, headers={"Host": host})
    assert (request.host, request.host_name) == (host, host_name)


def test_cookies(httputil: Any) -> None:
    request = made(httputil, headers={"Cookie": 'a=1; b="x y"; a=2; []=3; c'})
    values = {name: morsel.value for name, morsel in request.cookies.items()}
    assert values["a"] == "2"
    assert values["b"] == "x y"
    assert request.cookies is request.cookies


def test_cookies_may_be_replaced(httputil: Any) -> None:
    """By panel, under Tornado's private name."""
    from http.cookies import SimpleCookie

    request = made(httputil)
    request._cookies = SimpleCookie({"a": "b"})
    assert request.cookies["a"].value == "b"


def test_attributes_may_be_assigned(httputil: Any) -> None:
    request = made(httputil, "/x?a=1")
    for name, value in [
        ("path", "/other"), ("remote_ip", "9.9.9.9"), ("protocol", "http"), ("host", "h:1"),
        ("body", b"b"), ("arguments", {"z": [b"1"]}), ("body_arguments", {}), ("files", {}),
        ("query_arguments", {}), ("method", "PUT"), ("uri", "/y"),
    ]:  # fmt: skip
        setattr(request, name, value)
        assert getattr(request, name) == value
    assert request.full_url() == "http://h:1/y"
    request.anything = "goes"
    assert request.anything == "goes"


def test_a_mock_as_the_connection(httputil: Any) -> None:
    request = httputil.HTTPServerRequest("GET", "/a", connection=MagicMock())
    assert request.path == "/a"
    assert "method='GET'" in repr(request)
    assert request.full_url().endswith("/a")
    request.connection = MagicMock()
    assert request.cookies is not None


def test_no_certificate_without_tls() -> None:
    for connection in (None, SimpleNamespace(context=None), SimpleNamespace(),
                       SimpleNamespace(context=SimpleNamespace(ssl_object=None))):  # fmt: skip
        assert made(_ours(), connection=connection).get_ssl_certificate() is None


def test_the_certificate_of_the_client() -> None:
    asked: list[Any] = []

    def getpeercert(binary: bool) -> dict[str, int]:
        asked.append(binary)
        return {"x": 1}

    ssl_object = SimpleNamespace(getpeercert=getpeercert)
    context = SimpleNamespace(ssl_object=ssl_object)
    request = made(_ours(), connection=SimpleNamespace(context=context))
    assert request.get_ssl_certificate() == {"x": 1}
    assert request.get_ssl_certificate(binary_form=True) == {"x": 1}
    assert asked == [False, True]


def test_repr_shows_no_header_fields(httputil: Any) -> None:
    request = made(httputil, "/p?q", headers={"Cookie": "secret=1"})
    text = repr(request)
    for part in ("HTTPServerRequest(", "protocol='https'", "host='example.com'", "method='GET'",
                 "uri='/p?q'", "version='HTTP/1.1'", "remote_ip='1.2.3.4'"):  # fmt: skip
        assert part in text
    assert "secret" not in text


def test_request_time_stops_when_it_is_finished(httputil: Any) -> None:
    request = made(httputil)
    request._finish_time = request._start_time + 12.5
    assert request.request_time() == 12.5


# ---- Targets that are not in origin-form (RFC 9112, 3.2) -------------------------------------


def _ours() -> Any:
    return importlib.import_module("tornadoish.httputil")


@pytest.mark.parametrize(
    ("target", "host", "path", "query"),
    [
        ("http://other.org/a?b=c", "other.org", "/a", "b=c"),
        ("http://other.org", "other.org", "/", ""),
        ("http://other.org?b=/c", "other.org", "/", "b=/c"),
        ("http://other.org:81/", "other.org:81", "/", ""),
        ("http://user:pw@other.org/", "other.org", "/", ""),
        ("HTTP://OTHER.org//x", "OTHER.org", "//x", ""),
        ("http://[::1]:80/x", "[::1]:80", "/x", ""),
        ("http://other.org/x://y?z://", "other.org", "/x://y", "z://"),
    ],
)
@pytest.mark.parametrize("how", ["constructor", "take_head"])
def test_absolute_targets_aiohttp_13821(
    how: str, target: str, host: str, path: str, query: str
) -> None:
    """Tornado takes the whole target for a path (and the Host field for the host)."""
    line = RequestStartLine("GET", target, "HTTP/1.1")
    headers = HTTPHeaders({"Host": "example.com"})
    connection: Any = SimpleNamespace(
        context=SimpleNamespace(remote_ip="1.2.3.4", protocol="https")
    )
    if how == "constructor":
        request = HTTPServerRequest(start_line=line, headers=headers, connection=connection)
    else:
        request = new_request(HTTPServerRequest)
        take_head(request, connection, None, line, headers)
    assert (request.host, request.path, request.query) == (host, path, query)
    assert request.uri == target
    assert request.protocol == "https"  # what the connection says, not what the client claims
    assert request.full_url() == f"https://{host}{path}" + (f"?{query}" if query else "")
    expected = {"b": [query[2:].encode()]} if query.startswith("b=") else {}
    assert {name: v for name, v in request.query_arguments.items() if name == "b"} == expected


def test_the_target_of_options() -> None:
    request = made(_ours(), "*", "OPTIONS")
    assert (request.path, request.query, request.host) == ("*", "", "example.com")
    assert request.full_url() == "https://example.com"  # RFC 9110, 7.1: an empty path


def test_the_constructor_and_take_head_agree() -> None:
    line = RequestStartLine("POST", "/a?b=c", "HTTP/1.1")
    headers = HTTPHeaders({"Host": "x:1"})
    connection: Any = SimpleNamespace(context=None)
    one = new_request(HTTPServerRequest)
    take_head(one, connection, 7, line, headers)
    two = HTTPServerRequest(
        start_line=line, headers=headers, connection=connection, server_connection=7
    )
    two._start_time = one._start_time
    names = ("method", "uri", "version", "headers", "path", "query", "connection")
    assert all(getattr(one, name) == getattr(two, name) for name in names)
    assert vars(one) == vars(two)


# ---- Lazy ------------------------------------------------------------------------------------


def test_nothing_is_computed_before_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def count(name: str) -> None:
        original = getattr(request_module, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(request_module, name, counted)

    for name in ("parse_body_arguments", "parse_cookie", "split_host_and_port"):
        count(name)
    request = made(_ours(), "/?a=b", body=b"c=d", headers={**FORM, "Cookie": "e=f"})
    assert (request.path, request.body, calls) == ("/", b"c=d", [])
    assert request._query_arguments is None
    assert request.query_arguments == {"a": [b"b"]}
    assert request.query_arguments is request.query_arguments
    for _ in range(2):
        assert request.arguments == {"a": [b"b"], "c": [b"d"]}
        assert request.files == {}
    assert calls == ["parse_body_arguments"]
    for _ in range(2):
        assert request.host_name == "example.com"
        assert request.cookies["e"].value == "f"
    assert calls == ["parse_body_arguments", "split_host_and_port", "parse_cookie"]


def test_a_malformed_body_harms_nobody_who_does_not_look() -> None:
    request = made(
        _ours(), "/?a=b", "POST", body=b"junk", headers={"Content-Type": "multipart/form-data"}
    )
    assert request.query_arguments == {"a": [b"b"]}
    assert request.body == b"junk"
    assert "method='POST'" in repr(request)
    for _ in range(2):
        for name in ("arguments", "body_arguments", "files"):
            with pytest.raises(HTTPInputError) as caught:
                getattr(request, name)
            assert caught.value.survives  # the message was framed well
            assert caught.value.status == 400


def test_too_many_query_arguments_CVE_2026_54283() -> None:
    limit = MAX_QUERY_ARGUMENTS
    assert len(made(_ours(), "/?" + "&".join(["a"] * limit)).query_arguments["a"]) == limit
    request = made(_ours(), "/?" + "&".join(["a"] * (limit + 1)))
    with pytest.raises(HTTPInputError) as caught:
        len(request.query_arguments)
    assert caught.value.survives


def test_arguments_do_not_share_lists() -> None:
    request = made(_ours(), "/?a=q", body=b"a=b", headers=FORM)
    request.arguments["a"].append(b"x")
    assert request.arguments["a"] == [b"q", b"b", b"x"]
    assert request.query_arguments == {"a": [b"q"]}
    assert request.body_arguments == {"a": [b"b"]}


def test_what_was_assigned_is_not_overwritten_by_parsing() -> None:
    request = made(_ours(), body=b"a=b", headers=FORM)
    request.files = {"mine": []}
    assert request.body_arguments == {"a": [b"b"]}
    assert request.files == {"mine": []}


def test_two_requests_share_nothing() -> None:
    one, two = HTTPServerRequest("GET", "/"), HTTPServerRequest("GET", "/")
    one.headers["A"] = "b"
    one.arguments["a"] = [b"b"]
    one.files["f"] = []
    one.query_arguments["q"] = []
    one.body_arguments["q"] = []
    assert (len(two.headers), two.arguments, two.files) == (0, {}, {})
    assert (two.query_arguments, two.body_arguments) == ({}, {})


def test_files_of_a_form() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\nDATA\r\n'
        b'--b\r\nContent-Disposition: form-data; name="t"\r\n\r\ntext\r\n--b--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    request = made(_ours(), method="POST", body=body, headers=headers)
    file = request.files["f"][0]
    assert isinstance(file, HTTPFile)
    assert (file.filename, file.body) == ("n", b"DATA")
    assert request.arguments == {"t": [b"text"]}


def test_headers_survive_pickling_with_a_request() -> None:
    headers = made(_ours(), headers={"A": "b"}).headers
    assert pickle.loads(pickle.dumps(headers)) == headers
