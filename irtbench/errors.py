"""Errors and warnings of irtbench: one class for bad input, one warning class per kind of doubt."""

from __future__ import annotations

__all__ = ["ConvergenceWarning", "DataWarning", "ExtrapolationWarning", "InputError"]


class InputError(ValueError):
    """Input that cannot be used: the message says what, where, and what to do.

    The command line turns it into one line on stderr and exit code 2.
    """


class DataWarning(UserWarning):
    """The data can be used, but something in them deserves a look."""


class ConvergenceWarning(UserWarning):
    """A fit stopped before its own criterion was met."""


class ExtrapolationWarning(UserWarning):
    """A model lies outside the range of the models that calibrated the items."""
