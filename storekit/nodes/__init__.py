"""Groups and arrays: hierarchies over stores."""
