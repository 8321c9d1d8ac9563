"""How Sphinx makes the site of docs/: ``tox -e docs``, or

    sphinx-build -W --keep-going -n -c docs/site docs OUTPUT

Pages are Markdown (MyST). What is in docs/api comes from the docstrings.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

from tornadoish import __version__  # noqa: E402

project = "tornadoish"
author = "the authors of tornadoish"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "house"]
exclude_patterns = ["site"]

myst_heading_anchors = 3
myst_url_schemes = ["http", "https", "mailto", "repository"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
# Shown by their names; what they stand for is said where they are used.
autodoc_type_aliases = {
    name: name
    for name in (
        "_RuleList", "HeaderTypes", "Hook", "CleanupContext", "RequestCallback", "ConnectionHook",
        "Data", "EventData", "CompressionOptions", "OnMessage", "ASGIApp", "Scope", "Receive",
        "Send", "Event", "WSGIApplication", "StrPath", "Text", "Flag", "Nothing",
    )
}  # fmt: skip
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"
nitpicky = True
# A role in a docstring that names nothing of ours is an error, but for names of other libraries;
# classes may be those of signatures, which are anybody's.
nitpick_ignore_regex = [
    ("py:class", ".*"),
    ("py:.*", r"(?:asyncio|contextvars|csv|http|logging|jinja2|socket|ssl|time)(?:\..*)?"),
    ("py:(?:func|meth)", "media_quality|discard|Proxies.told|Talking.write_message"),
]

copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"

html_theme = "furo"
html_title = "tornadoish"
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_css_files = ["house.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b6e99",
        "color-brand-content": "#0b6e99",
        "color-brand-visited": "#5b4a9e",
    },
    "dark_css_variables": {
        "color-brand-primary": "#6cc4e8",
        "color-brand-content": "#6cc4e8",
        "color-brand-visited": "#b3a4ee",
    },
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
