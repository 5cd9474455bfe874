"""
Arrays and tensors of which a file keeps all: values, shape, type, and which library they are of.

They are super-chunks of bytes, with the rest in a metalayer; the files are those of blosc2's
functions of the same names. Nothing is pickled.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from storekit.errors import CorruptFrameError, MissingExtraError, NodeTypeError
from storekit.frames.packed import PACKED, Packed, check_packed, pack
from storekit.frames.params import CParams
from storekit.frames.plain import plain_ends
from storekit.frames.trailer import Layers
from storekit.nodes.frame_array import FrameArray
from storekit.nodes.frame_files import check_dparams, open
from storekit.nodes.frame_options import FrameOptions
from storekit.typing import AnyArray

__all__ = ["load_array", "load_tensor", "save_array", "save_tensor"]


def save_tensor(
    tensor: Any,
    urlpath: str | os.PathLike[str],
    chunksize: int | None = None,
    *,
    mode: str = "a",
    contiguous: bool = True,
    cparams: object = None,
    dparams: Mapping[str, Any] | None = None,
) -> int:
    """
    Save an array of numpy's, or a tensor of PyTorch or TensorFlow, to a file.

    Args:
        tensor: Of any shape, and any type whose elements have a fixed size. Of a tensor that is on
            another device, or part of a computation, the values are taken.

        urlpath: A path, or a URL as in `storekit.open`.

        chunksize: Bytes of a chunk. Defaults to 4 MiB.

        mode: ``"a"`` to fail if there is something already, ``"w"`` to replace it.

        contiguous: Whether it is one file; else a directory with a file for each chunk.

        cparams: How chunks are compressed: `CParams`, or a mapping with settings of blosc2.
            Defaults to Zstandard at level 1 after a shuffle.

        dparams: As in `open`.

    Returns:
        How many bytes were written.

    Raises:
        TypeError: If it is neither an array nor a tensor.

        MetadataError: If elements are objects, or an option is not possible.

        NodeExistsError: If there is something already.
    """
    check_dparams(dparams)
    kind, array = _as_array(tensor)
    packed = pack(Packed(kind, array.shape, array.dtype))
    place = FrameOptions(urlpath=urlpath, mode=mode, contiguous=contiguous).place()
    params, itemsize = CParams.of(cparams), max(array.dtype.itemsize, 1)
    layers = Layers().changed({PACKED: packed})
    blank = plain_ends(array.nbytes, itemsize, params, layers, chunksize)
    made = place.make(
        b"".join(blank), partial(_fill, array), replace=mode == "w", nthreads=params.nthreads
    )
    header = made.home.snapshot().frame.header
    return header.frame_len + header.cbytes if header.sparse else header.frame_len


def save_array(
    arr: AnyArray, urlpath: str | os.PathLike[str], chunksize: int | None = None, **options: Any
) -> int:
    """
    Save an array of numpy's to a file. `load_tensor` reads it, too.

    Args:
        arr: As `tensor` of `save_tensor`.

        urlpath: As in `save_tensor`.

        chunksize: As in `save_tensor`.

        options: As in `save_tensor`.

    Returns:
        How many bytes were written.

    Raises:
        Exception: As `save_tensor`.
    """
    return save_tensor(arr, urlpath, chunksize, **options)


def load_tensor(urlpath: str | os.PathLike[str], dparams: Mapping[str, Any] | None = None) -> Any:
    """
    What `save_tensor`, `save_array`, or a function of blosc2 with such a name has saved.

    Args:
        urlpath: As in `save_tensor`.

        dparams: As in `open`.

    Returns:
        An array of numpy's, or a tensor of the library that it was one of.

    Raises:
        NodeTypeError: If it is a frame, but not one of these.

        NotAFrameError: If it is no frame.

        CorruptFrameError, ChecksumError: If it is a damaged one.

        PathNotFoundError: If there is nothing.

        MissingExtraError: If the library is not installed.
    """
    frame = open(urlpath, "r", dparams=dparams)
    if not isinstance(frame, FrameArray) or PACKED not in frame.vlmeta:
        raise NodeTypeError(f"{os.fspath(urlpath)!r} holds no packed array, but {frame!r}")
    header = frame.home.snapshot().frame.header
    kind, shape, dtype = check_packed(frame.vlmeta[PACKED], header.nbytes)
    if kind not in _MAKERS:
        raise CorruptFrameError(f"a tensor of a library that is not known: {kind[:80]!r}")
    array = np.empty(shape, dtype)
    if array.nbytes:
        frame.read(out=_elements(array, frame.dtype))
    return _MAKERS[kind](array)


def load_array(urlpath: str | os.PathLike[str], dparams: Mapping[str, Any] | None = None) -> Any:
    """
    As `load_tensor`.

    Args:
        urlpath: As in `save_tensor`.

        dparams: As in `open`.

    Raises:
        Exception: As `load_tensor`.
    """
    return load_tensor(urlpath, dparams)


def _fill(array: AnyArray, frame: FrameArray) -> None:
    if array.nbytes:
        frame[...] = _elements(array, frame.dtype)


def _elements(array: AnyArray, dtype: np.dtype[Any]) -> AnyArray:
    """The memory of an array in C order, as elements of a super-chunk."""
    return array.reshape(-1).view(np.uint8).view(dtype)


def _as_array(tensor: Any) -> tuple[str, AnyArray]:
    """The library of a tensor, and its values in C order."""
    if isinstance(tensor, np.ndarray | np.generic):
        return "numpy", np.array(tensor, order="C", copy=None, subok=False)
    torch, tensorflow = sys.modules.get("torch"), sys.modules.get("tensorflow")
    if torch is not None and isinstance(tensor, torch.Tensor):
        plain = tensor.detach().cpu().resolve_conj().resolve_neg()
        try:
            values = plain.numpy()
        except TypeError as error:
            raise TypeError(f"numpy has no type for a tensor of {tensor.dtype}") from error
        return "torch", np.array(values, order="C", copy=None)
    if tensorflow is not None and tensorflow.is_tensor(tensor):
        return "tensorflow", np.array(tensor, order="C", copy=None)
    raise TypeError(
        f"expected an array of numpy or a tensor of PyTorch or TensorFlow, found {type(tensor)}"
    )


def _torch(array: AnyArray) -> Any:
    return _library("torch").from_numpy(array)


def _tensorflow(array: AnyArray) -> Any:
    return _library("tensorflow").constant(array)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"the file holds a tensor: pip install {name}") from error


_MAKERS: dict[str, Callable[[AnyArray], Any]] = {
    "numpy": lambda array: array,
    "torch": _torch,
    "tensorflow": _tensorflow,
}
