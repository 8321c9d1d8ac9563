"""What the site needs beyond Sphinx: some small things.

- A role such as ``:meth:`drain``` in a docstring names what is near, as people do who read code;
  Sphinx wants whole names. Here the one object with that end of its name is found.
- Pictures of docs/pictures stand in the page itself, so that they take its colours, the reader's
  choice of light or dark too.
- A link from a page to a file of the repository leads to a page with that file; to a directory, to
  a list of what is in it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from markdown_it import MarkdownIt
from pygments.lexer import RegexLexer
from pygments.token import Comment, Keyword, Text
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


# -- names in docstrings


def find_object(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """The object that ``node`` means: the nearest whose name ends so."""
    if node.get("refdomain") != "py":
        return None
    target = re.sub(r"^(?:tornadoish|web|httputil)\.", "", node["reftarget"].lstrip("."))
    domain: Any = env.get_domain("py")
    here = f"{node.get('py:module', '')}.{node.get('py:class', '')}"
    found = [name for name in domain.objects if name.endswith(f".{target}")]
    if not found:
        return None
    best = min(found, key=lambda name: (-len(posixpath.commonprefix([name, here])), len(name)))
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", best, node, content)


def name_aliases(
    app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Show an alias of a type by its name, within a union too."""
    return _by_name(signature), _by_name(returns)


def _by_name(text: str | None) -> str | None:
    return text and re.sub(r"TypeAliasForwardRef\('([\w.]+)'\)", r"\1", text)


# -- code of haproxy, which Pygments does not know


class HaproxyLexer(RegexLexer):
    """Comments, sections, and the first word of a line."""

    name = "haproxy"
    tokens: ClassVar[dict[str, Any]] = {
        "root": [
            (r"#.*", Comment),
            (r"^(?:global|defaults|frontend|backend|listen)\b", Keyword.Declaration),
            (r"^[ \t]+[\w.-]+", Keyword),
            (r"[^#\n]+|\n", Text),
        ]
    }


# -- pictures


class InlinePictures(SphinxPostTransform):
    """SVG files in place of the images that refer to them."""

    default_priority = 5
    formats = ("html",)

    def run(self, **_: Any) -> None:
        for image in list(self.document.findall(nodes.image)):
            uri = image["uri"]
            if not uri.endswith(".svg") or "pictures/" not in uri:
                continue
            svg = (DOCS / "pictures" / posixpath.basename(uri)).read_text(encoding="utf-8")
            picture = nodes.raw("", f'<figure class="picture">{svg}</figure>', format="html")
            image.replace_self(picture)


# -- links out of docs/

#: how links to the repository go through the parser
SCHEME = "repository"
_LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]+)(#[^)\s]*)?(\))")
_RELATIVE = re.compile(r'<a href="(?!https?://)[^"]*">(.*?)</a>', re.DOTALL)


def outside(docname: str, link: str) -> Path | None:
    """The file or directory of the repository, not of docs/, that a link of a page means."""
    path = (DOCS / docname).parent.joinpath(link).resolve()
    if path.is_relative_to(DOCS) or not path.is_relative_to(ROOT) or not path.exists():
        return None
    return path


def mark_links(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give links of a page to files of the repository a scheme of their own."""

    def marked(match: re.Match[str]) -> str:
        path = outside(docname, match[2])
        if path is None:
            return match[0]
        return f"{match[1]}{SCHEME}:{path.relative_to(ROOT).as_posix()}{match[4]}"

    source[0] = _LINK.sub(marked, source[0])


class FileLinks(SphinxPostTransform):
    """Those links as they are in the site; each wants its page."""

    default_priority = 5
    formats = ("html",)

    def run(self, **_: Any) -> None:
        for reference in self.document.findall(nodes.reference):
            scheme, colon, path = reference.get("refuri", "").partition(":")
            if scheme == SCHEME and colon:
                here = self.env.current_document.docname
                uri = self.app.builder.get_relative_uri(here, f"files/{path}")
                reference["refuri"] = uri
                reference["classes"] = []


def file_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """A page for each file and directory that a page links to."""
    wanted = set()
    for page in DOCS.rglob("*.md"):
        docname = page.relative_to(DOCS).with_suffix("").as_posix()
        for match in _LINK.finditer(page.read_text(encoding="utf-8")):
            path = outside(docname, match[2])
            if path is not None:
                wanted.add(path)
    for path in sorted(wanted):
        name = path.relative_to(ROOT).as_posix()
        body = f"<h1>{escape(name)}</h1>{shown(app, path)}"
        yield f"files/{name}", {"title": name, "body": body, "toc": ""}, "page.html"


def shown(app: Sphinx, path: Path) -> str:
    """A file, or what is in a directory, as HTML."""
    if path.is_dir():
        names = sorted(
            child.name + "/" * child.is_dir()
            for child in path.iterdir()
            if not child.name.startswith(("__pycache__", "."))
        )
        items = "".join(f"<li><code>{escape(name)}</code></li>" for name in names)
        return f"<ul>{items}</ul>"
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        page = MarkdownIt("commonmark").enable("table").render(text)
        return _RELATIVE.sub(r"\1", page).replace("<h1>", "<h2>").replace("</h1>", "</h2>")
    language = "python" if path.suffix == ".py" else "text"
    builder: Any = app.builder
    return str(builder.highlighter.highlight_block(text, language, linenos=False))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_lexer("haproxy", HaproxyLexer)
    app.connect("autodoc-process-signature", name_aliases)
    app.connect("source-read", mark_links)
    app.connect("missing-reference", find_object)
    app.connect("html-collect-pages", file_pages)
    app.add_post_transform(InlinePictures)
    app.add_post_transform(FileLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
