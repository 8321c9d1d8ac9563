"""What a request asks with: arguments of the query, of forms, files."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .serving import Framework, Serve

pytestmark = pytest.mark.in_memory

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def result(
    framework: Framework, serve: Serve, act: Callable[[Any], Any], path: str, **options: Any
) -> Any:
    """What ``act`` returns for a request to ``path``, or the status it is refused with."""
    results: list[Any] = []

    def answer(self: Any) -> None:
        results.append(act(self))

    base = framework.web.RequestHandler
    handler = type("Handler", (base,), {"get": answer, "post": answer, "put": answer})
    site = await serve([("/", handler)])
    response = await site.request("POST" if options else "GET", path, **options)
    assert response.status_code == 200 or results == []
    return results[0] if results else response.status_code


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a=1", "1"),
        ("a=1&a=2", "2"),
        ("a=", ""),
        ("a", ""),
        ("b=1&a=x+y%20z", "x y z"),
        ("a=%20+x%09+", "x"),
        ("a=%C3%A9", "é"),
        ("a=%00x%01y%1f", "x y"),
        ("a=x%09y%0Az", "x\ty\nz"),
        ("a=1;b=2", "1;b=2"),
        ("a=%", "%"),
        ("A=1", 400),
        ("", 400),
        ("a=%ff", 400),
        ("a=ok&a=%ff", 400),
    ],
)
@pytest.mark.parametrize("family", ["", "query_", "body_"])
async def test_one_argument(
    framework: Framework, serve: Serve, family: str, query: str, expected: Any
) -> None:
    def act(self: Any) -> Any:
        return getattr(self, f"get_{family}argument")("a")

    if family == "body_":
        found = await result(framework, serve, act, "/", content=query, headers=FORM)
    else:
        found = await result(framework, serve, act, f"/?{query}")
    assert found == expected


@pytest.mark.parametrize(
    ("query", "strip", "expected"),
    [
        ("a=+1+&a=2&b=3", True, ["1", "2"]),
        ("a=+1+&a=2&b=3", False, [" 1 ", "2"]),
        ("b=3", True, []),
        ("a=%00x", False, [" x"]),
        ("a=&a", True, ["", ""]),
    ],
)
@pytest.mark.parametrize("family", ["", "query_", "body_"])
async def test_all_arguments(
    framework: Framework, serve: Serve, family: str, query: str, strip: bool, expected: Any
) -> None:
    def act(self: Any) -> Any:
        return getattr(self, f"get_{family}arguments")("a", strip)

    if family == "body_":
        found = await result(framework, serve, act, "/", content=query, headers=FORM)
    else:
        found = await result(framework, serve, act, f"/?{query}")
    assert found == expected


@pytest.mark.parametrize("family", ["", "query_", "body_"])
@pytest.mark.parametrize("default", [None, "", "x", 7, [1]])
async def test_a_default(framework: Framework, serve: Serve, family: str, default: Any) -> None:
    def act(self: Any) -> Any:
        method = getattr(self, f"get_{family}argument")
        assert method("missing", default) is default
        assert method("missing", default=default, strip=False) is default
        return "checked"

    assert await result(framework, serve, act, "/?a=b") == "checked"


async def test_not_stripped(framework: Framework, serve: Serve) -> None:
    found = await result(
        framework, serve, lambda self: self.get_argument("a", strip=False), "/?a=+x%09+"
    )
    assert found == " x\t "


async def test_query_and_body_are_told_apart(framework: Framework, serve: Serve) -> None:
    def act(self: Any) -> Any:
        return (
            self.get_query_arguments("a"),
            self.get_body_arguments("a"),
            self.get_arguments("a"),
            self.get_argument("a"),
            self.get_query_argument("a"),
            self.get_body_argument("a"),
            self.get_query_argument("b", None),
            self.get_argument("b"),
        )

    found = await result(
        framework, serve, act, "/?a=q1&a=q2", content="a=b1&a=b2&b=3", headers=FORM
    )
    both = ["q1", "q2", "b1", "b2"]
    assert found == (["q1", "q2"], ["b1", "b2"], both, "b2", "q2", "b2", None, "3")


async def test_a_missing_argument(
    framework: Framework, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Any] = []

    def act(self: Any) -> None:
        try:
            self.get_argument("wanted")
        except framework.web.MissingArgumentError as error:
            errors.append(error)
            raise

    assert await result(framework, serve, act, "/?other=1") == 400
    assert isinstance(errors[0], framework.web.HTTPError)
    assert errors[0].arg_name == "wanted"
    assert errors[0].status_code == 400
    assert str(errors[0]) == "HTTP 400: Bad Request (Missing argument wanted)"
    warnings = [r.getMessage() for r in caplog.records if r.name == "tornado.general"]
    assert warnings == ["400 GET /?other=1 (127.0.0.1): Missing argument wanted"]


async def test_decode_argument_may_be_overridden(framework: Framework, serve: Serve) -> None:
    names: list[Any] = []

    class Handler(framework.web.RequestHandler):
        def decode_argument(self, value: bytes, name: str | None = None) -> str:
            names.append(name)
            return value.decode("latin-1")

        def get(self, group: str) -> None:
            self.write({"a": self.get_argument("a"), "group": group})

    site = await serve([("/(.*)", Handler)])
    assert (await site.get("/%e8?a=%e9")).json() == {"a": "é", "group": "è"}
    assert names == [None, "a"]


async def test_arguments_of_the_request_are_bytes(framework: Framework, serve: Serve) -> None:
    def act(self: Any) -> Any:
        request = self.request
        return request.arguments, request.query_arguments, request.body_arguments

    found = await result(framework, serve, act, "/?a=%ff&x", content="a=%00+&y", headers=FORM)
    assert found == (
        {"a": [b"\xff", b"\x00 "], "x": [b""], "y": [b""]},
        {"a": [b"\xff"], "x": [b""]},
        {"a": [b"\x00 "], "y": [b""]},
    )


async def test_a_form_of_another_method(framework: Framework, serve: Serve) -> None:
    class Handler(framework.web.RequestHandler):
        def put(self) -> None:
            self.write(self.get_body_argument("a"))

        patch = delete = put

    site = await serve([("/", Handler)])
    for method in ("PUT", "PATCH", "DELETE"):
        response = await site.request(method, "/", data={"a": "x y"})
        assert response.text == "x y", method


async def test_a_body_that_is_no_form(framework: Framework, serve: Serve) -> None:
    def act(self: Any) -> Any:
        return self.request.body, self.request.body_arguments, self.get_argument("a", "none")

    headers = {"Content-Type": "application/json"}
    found = await result(framework, serve, act, "/", content=b"a=1", headers=headers)
    assert found == (b"a=1", {}, "none")


async def test_files(framework: Framework, serve: Serve) -> None:
    def act(self: Any) -> Any:
        files = self.request.files
        first = files["one"][0]
        assert (first.filename, first["body"], first.content_type) == ("ä.txt", b"1\r\n", "text/x")
        assert [file["filename"] for file in files["many"]] == ["a", "b"]
        assert sorted(files) == ["many", "one"]
        return self.get_body_argument("text"), self.get_argument("text")

    files = [
        ("one", ("ä.txt", b"1\r\n", "text/x")),
        ("many", ("a", b"A")),
        ("many", ("b", b"")),
    ]
    found = await result(framework, serve, act, "/?text=q", files=files, data={"text": "é"})
    assert found == ("é", "é")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"garbage"),
        ("multipart/form-data; boundary=x", b"--x\r\nno end"),
    ],
)
async def test_a_malformed_form_is_a_400(
    framework: Framework, serve: Serve, content_type: str, body: bytes
) -> None:
    found = await result(
        framework, serve, lambda self: self.get_argument("a", "none"), "/",
        content=body, headers={"Content-Type": content_type},
    )  # fmt: skip
    assert found == 400


async def test_cookies_of_the_request(framework: Framework, serve: Serve) -> None:
    class Handler(framework.web.RequestHandler):
        def get(self) -> None:
            self.write({name: morsel.value for name, morsel in self.request.cookies.items()})

    site = await serve([("/", Handler)])
    peer = await site.connect()
    answer = await peer.ask("GET / HTTP/1.1", "Host: a", 'Cookie: a=1; b="x y"; c')
    assert answer.body == b'{"a": "1", "b": "x y"}'


async def test_arguments_may_be_changed(framework: Framework, serve: Serve) -> None:
    """graphene and others put their own in."""

    def act(self: Any) -> Any:
        self.request.arguments["new"] = [b"1"]
        self.request.arguments.setdefault("a", []).append(b"last")
        return self.get_argument("new"), self.get_argument("a"), self.get_query_arguments("a")

    assert await result(framework, serve, act, "/?a=1") == ("1", "last", ["1"])
