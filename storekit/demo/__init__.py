"""Programs that show what storekit does: ``python -m storekit.demo network``."""
