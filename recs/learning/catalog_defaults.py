"""What suits a catalog by its size. Chosen on validation data of three shops, see TrainingConfig.

In a shop every item is seen often. In a large catalog tastes are more and most items are seen
seldom: EASE says little of these, the graph's low-pass filter says more.
"""

from __future__ import annotations

from dataclasses import dataclass

LARGE_CATALOG = 20_000  # items


@dataclass(frozen=True)
class CatalogDefaults:
    """Settings that differ between a shop and a large catalog.

    Args:
        tower_weight: of the two-tower model in the blend, where nothing else is clearly better.
        tower_support: distinct items of a user at which it counts half of that.
        ease_factor: dimensions of EASE, in units of the configured association dimension.
        coarse_factor: those that count at any number of known items; the rest are detail.
        low_pass_factor: of the low-pass filter, at most, in the same units.
        low_pass_share: strength of the filter, where EASE has 1.
        association_support: distinct items of a user at which detail counts half, and so does the
            low-pass filter.
        start_power: exponent of the graph's eigenvalues by which the two-tower model's start weighs
            the signals of the graph: 0 all alike, more the smooth ones.
        learning_rate_decay: factor after each epoch.
        patience: epochs without a better validation score before a trial stops. A shop overfits; a
            large catalog still gains in late epochs, of a small rate, what one by one is noise.
        sharp: try the second, sharper temperature too; a shop overfits at it.
        fine: where nothing is dated, try to read associations more finely too. What a slice of a
            large catalog gains by that, most of its test did not keep.
    """

    tower_weight: float
    tower_support: float
    ease_factor: float
    coarse_factor: float
    low_pass_factor: float
    low_pass_share: float
    association_support: float
    start_power: float
    learning_rate_decay: float
    patience: int
    sharp: bool
    fine: bool


SHOP = CatalogDefaults(
    tower_weight=0.8,
    tower_support=100.0,
    ease_factor=4.0,
    coarse_factor=0.25,
    low_pass_factor=0.5,
    low_pass_share=0.7,
    association_support=5.0,
    start_power=0.0,
    learning_rate_decay=0.9,
    patience=3,
    sharp=False,
    fine=True,
)
LARGE = CatalogDefaults(
    tower_weight=0.6,  # the filter knows half of it already
    tower_support=1.0,
    ease_factor=2.0,
    coarse_factor=2.0,  # no detail
    low_pass_factor=2.0,
    low_pass_share=2.0,
    association_support=1e6,  # the filter does not fade
    start_power=2.0,
    learning_rate_decay=0.93,
    patience=10,
    sharp=True,
    fine=False,
)


def catalog_defaults(n_items: int) -> CatalogDefaults:
    """Return what suits a catalog of so many items."""
    return SHOP if n_items < LARGE_CATALOG else LARGE
