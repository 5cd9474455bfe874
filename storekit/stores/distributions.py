"""Delays that vary, each distribution by its name."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property

from storekit.stores._checks import positive

__all__ = ["Constant", "Distribution", "LogNormal", "Normal", "Pareto", "Uniform"]


_MOST_SIGMA = 30  # beyond it the mean, and soon the delays, are larger than numbers can be


class Distribution(ABC):
    """Delays in seconds, never negative, of which each is as likely as the name says."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type] # each subclass is a dataclass
            value = positive(f"{type(self).__name__}.{field.name}", getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    @abstractmethod
    def sample(self, u: float) -> float:
        """The delay that a share `u` of all delays does not exceed; `u` between 0 and 1."""

    @cached_property
    def mean(self) -> float:
        """The mean delay in seconds."""
        steps = 10_000  # no simple formula for what is cut off at zero
        return sum(self.sample((step + 0.5) / steps) for step in range(steps)) / steps


@dataclass(frozen=True)
class Constant(Distribution):
    """
    Always the same.

    Args:
        seconds: The delay.
    """

    seconds: float

    def sample(self, u: float) -> float:
        """The delay, whatever `u` is."""
        return self.seconds

    @cached_property
    def mean(self) -> float:
        """The delay."""
        return self.seconds


@dataclass(frozen=True)
class Uniform(Distribution):
    """
    All delays between two are equally likely.

    Args:
        low: The shortest, in seconds.

        high: The longest.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.high < self.low:
            raise ValueError(f"Uniform.high must not be less than low, found {self!r}")

    def sample(self, u: float) -> float:
        """A share `u` of the way from the shortest to the longest."""
        return self.low + u * (self.high - self.low)


@dataclass(frozen=True)
class Normal(Distribution):
    """
    The bell curve; what would be negative is zero.

    Args:
        center: Of the curve, in seconds; the mean, if little is cut off.

        deviation: The standard deviation, in seconds.
    """

    center: float
    deviation: float

    def sample(self, u: float) -> float:
        """The quantile `u`, not below zero."""
        return max(self.center + self.deviation * _normal(u), 0.0)


@dataclass(frozen=True)
class LogNormal(Distribution):
    """
    The logarithm follows the bell curve: a long tail, as the first bytes of object stores have.

    Args:
        median: In seconds; half of the delays are shorter.

        sigma: The standard deviation of the natural logarithm. The 95th percentile is the median
            times ``exp(1.645 * sigma)``.
    """

    median: float
    sigma: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sigma > _MOST_SIGMA:
            raise ValueError(f"LogNormal.sigma must be at most {_MOST_SIGMA}, found {self.sigma}")

    def sample(self, u: float) -> float:
        """The quantile `u`."""
        return self.median * math.exp(self.sigma * _normal(u))

    @cached_property
    def mean(self) -> float:
        """The mean delay, which the tail makes longer than the median."""
        return self.median * math.exp(self.sigma**2 / 2)


@dataclass(frozen=True)
class Pareto(Distribution):
    """
    A tail that falls as a power: rare delays that are very long.

    Args:
        shortest: No delay is shorter, in seconds.

        alpha: The power, more than 1; the smaller, the longer the tail.
    """

    shortest: float
    alpha: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha <= 1:
            raise ValueError(f"Pareto.alpha must be more than 1, else there is no mean: {self!r}")

    def sample(self, u: float) -> float:
        """The quantile `u`."""
        return self.shortest * math.pow(1 - u, -1 / self.alpha)

    @cached_property
    def mean(self) -> float:
        """The mean delay."""
        return self.shortest * self.alpha / (self.alpha - 1)


def _normal(u: float) -> float:
    """The quantile `u` of the standard normal distribution."""
    from statistics import NormalDist  # 5 ms, for those whose delays are normal

    quantile: float = NormalDist().inv_cdf(u)
    return quantile
