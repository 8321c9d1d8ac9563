"""What the tests share that are of ours alone."""

from __future__ import annotations

import pytest
from libraries import installed
from web.serving import Framework


@pytest.fixture
def framework() -> Framework:
    """Tornado has nothing of the kind."""
    return Framework(installed("tornadoish"))
