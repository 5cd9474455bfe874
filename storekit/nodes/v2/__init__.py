"""Hierarchies of Zarr v2, which are only read: from their documents to what those of v3 say."""
