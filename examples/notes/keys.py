"""Keys: the secrets that sign cookies, kept in a file and replaced in time.

Used by app.py, at the start and once an hour. A cookie says which key has signed it, so one that
was signed with the key before is still good. The file is for the server's eyes only: who has it can
sign in as anybody.
"""

import json
import os
import secrets
import time
from pathlib import Path

DAY = 24 * 3600  # seconds
SIGNING_DAYS = 30
"""For how long a key signs new cookies."""
SESSION_DAYS = 30
"""For how long a cookie is good; a key is kept for as long after its last one."""


def current_keys(path: Path) -> tuple[dict[int, str], int]:
    """The settings `cookie_secret` (keys by their versions) and `key_version` (which one signs).

    The file is written anew where a key is to be added. OSError: it cannot be; ValueError: it is
    not what was written.
    """
    now = time.time()
    try:
        kept = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        kept = {}
    keys = {int(version): (str(key), float(made)) for version, (key, made) in kept.items()}
    newest = max(keys, default=0)
    if newest == 0 or keys[newest][1] < now - SIGNING_DAYS * DAY:
        newest += 1
        keys[newest] = (secrets.token_urlsafe(48), now)
        oldest = now - (SIGNING_DAYS + SESSION_DAYS) * DAY
        keys = {version: key for version, key in keys.items() if key[1] > oldest}
        _write(path, json.dumps(keys, indent=1))
    return {version: key for version, (key, _) in keys.items()}, newest


def _write(path: Path, text: str) -> None:
    """Whole, or not at all; and never for a moment readable by others."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
