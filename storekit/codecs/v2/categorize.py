"""
``categorize``: texts out of a list of labels, as their places in it.

Source: numcodecs, `Categorize`: 0 is the empty text, and n the label before place n.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from storekit.codecs.base import ArrayBytesCodec, check_keys
from storekit.codecs.coder import ChunkCoder
from storekit.codecs.spec import ChunkSpec
from storekit.codecs.v2.base import get_dtype
from storekit.errors import CodecError, MetadataError, UnsupportedError
from storekit.selection.part import Part, take
from storekit.typing import JSON, AnyArray, DType, Value

__all__ = ["CategorizeCodec"]


class CategorizeCodec(ArrayBytesCodec):
    """
    Texts, stored as integers.

    Args:
        labels: The texts.

        stored: The dtype of the integers.
    """

    name = "categorize"

    def __init__(self, labels: list[str], stored: DType) -> None:
        self.labels, self._stored = labels, stored

    @classmethod
    def from_config(cls, configuration: Mapping[str, JSON]) -> Self:
        """The codec that a document describes; ``dtype`` is that of the array, once more."""
        check_keys(configuration, required=("labels", "dtype"), optional=("astype",))
        labels: Any = configuration["labels"]
        if not isinstance(labels, list | tuple) or not all(isinstance(x, str) for x in labels):
            raise MetadataError(field="labels", expected="a list of texts", found=labels)
        stored = get_dtype(configuration, "astype", np.dtype("u1"))
        if stored.kind not in "iu":
            raise MetadataError(field="astype", expected="a dtype of integers", found=stored.str)
        return cls(list(labels), stored)

    def to_config(self) -> dict[str, JSON]:
        """Labels and dtype."""
        return {"labels": list(self.labels), "astype": self._stored.str}

    def bind(self, spec: ChunkSpec) -> ChunkCoder:
        """The coder for chunks of text."""
        if spec.dtype.kind not in "TU":
            raise MetadataError(f"cannot store elements of type {spec.dtype}")
        return _CategorizeCoder(spec, self.labels, self._stored)


class _CategorizeCoder(ChunkCoder):
    def __init__(self, spec: ChunkSpec, labels: list[str], stored: DType) -> None:
        self.spec, self._stored = spec, stored
        self._labels = np.array(["", *labels], np.dtypes.StringDType()).astype(spec.dtype)
        count = spec.nbytes // spec.dtype.itemsize
        self.encoded_size: int = count * stored.itemsize

    def encode(self, chunk: AnyArray) -> Value:
        raise UnsupportedError("the codec 'categorize' of Zarr v2 is only read")

    def decode_into(self, data: Value, out: AnyArray, part: Part | None = None) -> None:
        if len(data) != self.encoded_size:
            raise CodecError(f"expected {self.encoded_size} bytes, found {len(data)}")
        codes: AnyArray = np.ndarray(self.spec.shape, self._stored, data)
        if part is not None:
            codes = take(codes, part)
        known = (codes > 0) & (codes < len(self._labels))
        out[...] = self._labels[np.where(known, codes, 0).astype(np.intp)]
