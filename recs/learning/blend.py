"""What a score is made of, by how much is known of a user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recs.learning.catalog_defaults import SHOP, catalog_defaults
from recs.learning.interactions import Floats

POPULARITY_SUPPORT = 10.0  # sql/functions/blend_user.sql says so too
NEVER = 1e6  # more items than anybody has
FADING_IN_SITTINGS = 30.0


@dataclass(frozen=True)
class Blend:
    """What the score of item j for a user of n distinct items is made of, up to a factor.

        score = tower_weight s t_u . q_j  +  v_u . z_j  +  popularity_weight f / |v| pop_j

    with s = n / (n + tower_support) * tower_fading / (n + tower_fading) and f = 10 / (n + 10): t is
    the unit vector of the two-tower model, v the sum of what the known items say by association,
    its parts as they count at n items (see Fading of the associations), and v_u its direction,
    pop_j popularity of the best seller's.
    What needs many interactions grows with n, what needs none fades with it, and by 1 / |v| it is a
    prior that is worth a fixed number of interactions. Where a long history says enough item by
    item, the one taste that the two-tower model makes of it fades again.

    A new item has no interactions: its place in the two-tower space is a guess, and counts
    new_item_tower of a learned one; new_item_bias is added to its score, for it has no popularity.

    Args:
        curve: recall@20 by known items n, of the blend and of what it is made of.
    """

    tower_weight: float = SHOP.tower_weight
    tower_support: float = SHOP.tower_support
    tower_fading: float = NEVER
    popularity_weight: float = 0.03
    new_item_tower: float = 0.15
    new_item_bias: float = 0.05
    curve: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    @staticmethod
    def of_catalog(n_items: int, *, in_sittings: bool = False) -> Blend:
        """Return the default for a catalog of that size.

        Args:
            in_sittings: whether users act in one sitting, see Interactions.in_sittings. What is
                asked for after it is another day's, which one taste of the sitting says little of.
        """
        suited = catalog_defaults(n_items)
        return Blend(
            tower_weight=suited.tower_weight,
            tower_support=suited.tower_support,
            tower_fading=FADING_IN_SITTINGS if in_sittings else NEVER,
        )

    def weights(self, support: NDArray[np.integer]) -> tuple[Floats, Floats]:
        """Compute tower_weight s and popularity_weight f for users of n items, each [U]."""
        share = support / (support + self.tower_support)
        share = share * self.tower_fading / (support + self.tower_fading)
        fading = POPULARITY_SUPPORT / (support + POPULARITY_SUPPORT)
        tower, prior = self.tower_weight * share, self.popularity_weight * fading
        return np.asarray(tower, np.float32), np.asarray(prior, np.float32)
