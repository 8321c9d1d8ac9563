"""StaticURLs: the URLs of static files (Tornado: web.RequestHandler, ``static_url``)."""

from __future__ import annotations

from typing import Any

from tornadoish.web.localization import Localization
from tornadoish.web.static.content import StaticContent


class StaticURLs(Localization):
    """Localization, and URLs of static files that change when the files do."""

    _has_reset_hashes = False

    def static_url(self, path: str, include_host: bool | None = None, **kwargs: Any) -> str:
        """The URL of a file below the setting ``static_path``, with a version of its content: it
        may be cached for ever.

        The class that makes it is the setting ``static_handler_class``. With the setting
        ``static_hash_cache`` False (as ``debug`` has it) no version is remembered from one request
        to the next; without, it is made anew when the file has changed.

        :param path: must not be what somebody asked for: it is read, and its version is kept.
        :param include_host: whether the URL is absolute; by default the handler's own attribute
            ``include_host``, if it has one.
        :param kwargs: for ``make_static_url``; ``include_version=False`` leaves it out.
        :raises RuntimeError: there is no setting ``static_path``.
        :raises HTTPError: 403, ``path`` leads out of it.
        """
        self.require_setting("static_path", "static_url")
        settings = self.settings
        maker = settings.get("static_handler_class", StaticContent)
        if not settings.get("static_hash_cache", True) and not self._has_reset_hashes:
            self._has_reset_hashes = True
            maker.reset()
        if include_host is None:
            include_host = getattr(self, "include_host", False)
        host = f"{self.request.protocol}://{self.request.host}" if include_host else ""
        url: str = maker.make_static_url(settings, path, **kwargs)
        return host + url
