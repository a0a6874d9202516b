"""How closely associations read what goes with what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resolution:
    """In units of what suits a catalog by its size, see catalog_defaults.

    Args:
        dimensions: of EASE.
        ridge: of EASE, in units of the edge of noise, or of twice that where interest fades.
        low_pass_dimensions: of the low-pass filter.
        low_pass_share: strength of the filter.
    """

    dimensions: float = 1.0
    ridge: float = 1.0
    low_pass_dimensions: float = 1.0
    low_pass_share: float = 1.0


USUAL = Resolution()
