"""What compressors and filters of Zarr v2 have made, read again; nothing here writes."""
