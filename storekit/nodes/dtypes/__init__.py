"""Data types: what the elements of an array are, and how metadata spells them and their fills."""

from storekit.nodes.dtypes.base import DataType
from storekit.nodes.dtypes.numbers import Boolean, Complex, Float, Integer
from storekit.nodes.dtypes.raw import RawBits, RawBytes
from storekit.nodes.dtypes.registry import data_type_from_json, data_type_from_numpy
from storekit.nodes.dtypes.struct import Struct
from storekit.nodes.dtypes.text import FixedText, NullTerminatedBytes, String, VariableBytes
from storekit.nodes.dtypes.times import Datetime, Timedelta

__all__ = [
    "Boolean",
    "Complex",
    "DataType",
    "Datetime",
    "FixedText",
    "Float",
    "Integer",
    "NullTerminatedBytes",
    "RawBits",
    "RawBytes",
    "String",
    "Struct",
    "Timedelta",
    "VariableBytes",
    "data_type_from_json",
    "data_type_from_numpy",
]
