"""``--check``: would it run? Everything that can be known without serving, a line for each."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from tornadoish.cli.applications import as_delegate, what_it_is
from tornadoish.cli.certificates import load_certificates
from tornadoish.cli.listening import try_to_listen
from tornadoish.cli.measuring import metrics_of
from tornadoish.cli.serving import limits_of, loop_of
from tornadoish.cli.settings import Settings
from tornadoish.cli.terminal import Paint


def check(name: str, load: Callable[[], object], settings: Settings) -> int:
    """Look at settings, certificates, addresses and the application (which is made, not started),
    and say what they are.

    :raises CommandError: one of them cannot be used.
    """
    loop, make_loop = loop_of(settings)
    limits_of(settings)
    _say("settings", settings.config or "from the command line and the environment")
    _say("event loop", loop)
    if load_certificates(settings) is not None:
        _say("certificate", f"{settings.tls_cert}")
    for address in try_to_listen(settings):
        _say("address", address)
    found = load()
    with asyncio.Runner(loop_factory=make_loop) as runner:
        delegate = runner.run(as_delegate(found, name))
    _say("application", f"{name} ({what_it_is(delegate)})")
    if settings.metrics:
        metrics_of(delegate)
        _say("metrics", settings.metrics)
    return 0


def _say(what: str, text: str) -> None:
    print(f"{Paint(sys.stdout)('green', 'ok')}  {what:<12} {text}", flush=True)
