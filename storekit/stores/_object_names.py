"""
Keys as paths of obstore, which refuses control characters.

They are written as rclone does: each by the symbol that Unicode has for it (U+2400 and following),
and these symbols, where a key really has them, behind a mark. All other keys are paths as they are.
"""

from __future__ import annotations

import re

__all__ = ["key_of", "path_of"]

_MARK = "\u201b"
_CONTROLS = {chr(code): chr(0x2400 + code) for code in range(1, 32)} | {"\x7f": "\u2421"}
_SYMBOLS = {symbol: control for control, symbol in _CONTROLS.items()}
_ENCODED = re.compile("[\x01-\x1f\x7f\u2401-\u241f\u2421\u201b]")
_DECODED = re.compile("\u201b([\u2401-\u241f\u2421\u201b])|([\u2401-\u241f\u2421])")


def path_of(key: str) -> str:
    """The path of a key or prefix."""
    if key.isascii() and key.isprintable():
        return key
    return _ENCODED.sub(lambda found: _CONTROLS.get(found[0], _MARK + found[0]), key)


def key_of(path: str) -> str:
    """The key or prefix of a path."""
    if path.isascii():
        return path
    return _DECODED.sub(lambda found: found[1] or _SYMBOLS[found[2]], path)
