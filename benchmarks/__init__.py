"""storekit beside its peers and a bare loop, interleaved in one run: `python -m benchmarks`."""
