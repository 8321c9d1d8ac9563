"""``--reload``: watches files, and starts the process that serves anew when they change."""

from tornadoish.cli.reloading.parent import GRACE, Inheritance, Reloader, inherited

__all__ = ["GRACE", "Inheritance", "Reloader", "inherited"]
