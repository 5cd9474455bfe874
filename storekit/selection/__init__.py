"""From an index expression to the parts of chunks that it touches: pure functions, no I/O."""
