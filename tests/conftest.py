"""Makes the helper modules beside it importable from every test."""
