"""The web framework, next to Tornado's: one test body over both."""
