"""The client that comes with Tornado, run over our streams and connections."""
