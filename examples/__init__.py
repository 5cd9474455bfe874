"""Programs that show storekit at work."""
