"""The demo: real terrain as a pyramid of chunked arrays. Run it with `make demo`."""
