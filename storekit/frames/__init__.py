"""
The blosc2 contiguous frame: its layout in bytes, the chunks inside, arrays in files of their own.
"""
