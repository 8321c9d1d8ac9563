"""Tests of docs/: every code block of every page runs, as its reader would run it."""
