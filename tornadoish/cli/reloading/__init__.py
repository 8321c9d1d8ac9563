"""``--reload``: watches files, and starts the process that serves anew when they change."""

from tornadoish.cli.reloading.parent import GRACE, Reloader, inherited_sockets

__all__ = ["GRACE", "Reloader", "inherited_sockets"]
