"""TCPServer: listening, handing over, stopping, TLS; over real sockets and in real processes."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import textwrap
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from streams import CERT, CLIENT_TLS, KEY, SERVER_TLS, Library, Peer
from support import LOOPED, soon, until
