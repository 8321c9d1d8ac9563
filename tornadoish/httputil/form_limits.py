"""Limits of form bodies, as frozen dataclasses, and those that count for the whole process.

Names and what they mean are Tornado's; what is ours alone says so. A peer that is beyond one of
them gets a 413. Nothing here reads a body.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class ParseMultipartConfig:
    """Limits for multipart/form-data, counted while it is read; None: no limit.

    Source: Tornado: tornado.httputil.ParseMultipartConfig.
    """

    enabled: bool = True
    """Whether such bodies are parsed at all; if not, they are an error (415)."""
    max_parts: int | None = 100
    """How many parts (fields and files) one body may have."""
    max_part_header_size: int | None = 10 * KIB
    """Size of one part's header section, in bytes."""
    max_part_headers: int | None = 20
    """How many header fields one part may have (ours alone, not Tornado's)."""
    max_fields: int | None = None
    """How many of the parts may be fields, that is no files (ours alone, not Tornado's)."""
    max_field_size: int | None = 10 * MIB
    """Size of one field, in bytes; files are bounded by the body alone (ours alone, not
    Tornado's)."""
    max_fields_size: int | None = 20 * MIB
    """Size of all fields of one body together, in bytes (ours alone, not Tornado's)."""


@dataclass(frozen=True)
class ParseUrlEncodedConfig:
    """Limits for application/x-www-form-urlencoded bodies.

    Source: Tornado: tornado.httputil.ParseUrlEncodedConfig.
    """

    max_arguments: int | None = 1000
    """How many ``&``-separated fields one body may have, empty ones counted; None: no limit."""


@dataclass(frozen=True)
class ParseBodyConfig:
    """Limits for all form bodies. Source: Tornado: tornado.httputil.ParseBodyConfig."""

    multipart: ParseMultipartConfig = field(default_factory=ParseMultipartConfig)
    urlencoded: ParseUrlEncodedConfig = field(default_factory=ParseUrlEncodedConfig)


_DEFAULT_PARSE_BODY_CONFIG = ParseBodyConfig()


def set_parse_body_config(config: ParseBodyConfig) -> None:
    """Set the limits for the whole process.

    Source: Tornado: tornado.httputil.set_parse_body_config.
    """
    global _DEFAULT_PARSE_BODY_CONFIG
    _DEFAULT_PARSE_BODY_CONFIG = config


def get_parse_body_config() -> ParseBodyConfig:
    """The limits of the whole process, as last set."""
    return _DEFAULT_PARSE_BODY_CONFIG
