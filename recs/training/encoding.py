"""The content of a catalog as vectors, and what SQL needs to make more of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recs.learning import Interactions
from recs.learning.content import fit_encoder
from recs.learning.interactions import Floats
from recs.learning.signals import Signals
from recs.learning.term_kinds import KindWeights, fit_kind_weights
from recs.learning.vectors import unit_rows
from recs.training.publication import TermVectors
from recs.training.reading import Content


@dataclass(frozen=True)
class Encoded:
    """Content vectors [I, C], and how SQL makes one, where the content is terms."""

    content: Floats | None = None
    terms: TermVectors | None = None
    kinds: KindWeights | None = None


def encode(content: Content, interactions: Interactions, signals: Signals, *, seed: int) -> Encoded:
    """Take the application's vectors, or make some of terms, each counting what its kind says.

    Args:
        signals: of these interactions: what goes with what tells what a kind of term is worth.
    """
    if content.vectors is not None:
        return Encoded(unit_rows(content.vectors))
    if content.frequencies is None or content.frequencies.nnz == 0:
        return Encoded()
    kinds = content.kinds
    fitted = fit_kind_weights(
        content.frequencies,
        kinds,
        interactions.histories(signals.tower.half_life_days),
        signals.associations,
    )
    weights = fitted.of(kinds)
    encoder = fit_encoder(content.frequencies, weights, seed=seed)
    counted = np.flatnonzero(weights)  # SQL need not know terms that count nothing
    terms = TermVectors(
        [content.terms[t] for t in counted.tolist()],
        encoder.idf[counted],
        encoder.term_vectors[counted],
    )
    return Encoded(encoder.encode(content.frequencies), terms, fitted)
