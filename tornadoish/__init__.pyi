from tornadoish.cli import run as run

__version__: str
