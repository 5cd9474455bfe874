"""Reading over HTTP at a latency that is always the same: time, requests and bytes by library."""
