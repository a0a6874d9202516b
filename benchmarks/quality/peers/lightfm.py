"""LightFM (Kula, 2015) with the WARP loss, by its maintained build `rectools-lightfm`."""

from dataclasses import dataclass

import numpy as np
from lightfm import LightFM
from scipy.sparse import coo_array, coo_matrix, csr_array, csr_matrix, eye_array, hstack

from benchmarks.quality.datasets import FloatArray, IntArray
from benchmarks.quality.method import Params, Scores, Scoring, threads, weights
from benchmarks.quality.peers.content import tfidf
from benchmarks.quality.protocols import Split

FOLD_IN_EPOCHS = 20


@dataclass(frozen=True)
class Towers:
    """Item vectors with their biases, and a way to a vector for any user."""

    model: LightFM
    features: csr_matrix  # [n_items, features]
    trained: IntArray
    items: Scores  # [n_items, F]
    biases: Scores  # [n_items]

    def users(self, users: IntArray, history: csr_array) -> Scores:
        """Return the trained vectors, or vectors fitted to the history with the items held."""
        if np.isin(users, self.trained).all():
            return np.asarray(self.model.user_embeddings[users])
        return self._fold_in(users, history)

    def _fold_in(self, users: IntArray, history: csr_array) -> Scores:
        """Run epochs over the strangers' own items from the mean user, then put the items back."""
        model, before = self.model, _state(self.model)
        mean = model.user_embeddings[self.trained].mean(axis=0)
        model.user_embeddings[users] = mean
        told = coo_array(history)
        shape = (model.user_embeddings.shape[0], history.shape[1])
        place = (users[told.row], told.col)
        events = coo_matrix((np.ones(told.nnz, np.float32), place), shape=shape)
        if told.nnz:
            model.fit_partial(events, item_features=self.features, epochs=FOLD_IN_EPOCHS)
        vectors = model.user_embeddings[users].copy()
        _restore(model, before)
        return np.asarray(vectors)


def fit(split: Split, params: Params, seed: int) -> Scoring:
    """Train an embedding for each user and item; with `content`, items also sum their terms'."""
    features = _features(split, params)
    half_life = params.get("half_life")
    model = LightFM(
        no_components=params["factors"],
        loss="warp",
        max_sampled=params.get("max_sampled", 10),
        random_state=seed,
    )
    events = coo_matrix(weights(split, half_life=half_life))
    ones = coo_matrix((np.ones_like(events.data), (events.row, events.col)), shape=events.shape)
    model.fit(
        ones,
        item_features=features,
        sample_weight=events if half_life else None,
        epochs=int(params["epochs"] or 0),
        num_threads=threads(),
    )
    biases, items = model.get_item_representations(features)
    towers = Towers(model, features, np.unique(split.train.users), items, biases)

    def score(users: IntArray, history: csr_array) -> Scores:
        return towers.users(users, history) @ towers.items.T + towers.biases

    return Scoring(split, score, half_life)


def _features(split: Split, params: Params) -> csr_matrix:
    """Return one indicator a warm item, and its TF-IDF terms when content is asked for."""
    warm = np.zeros(split.dataset.n_items, np.float32)
    warm[split.warm_items] = 1
    identity = csr_array(eye_array(len(warm), dtype=np.float32).multiply(warm[:, None]))
    if not params.get("content"):
        return csr_matrix(identity)
    content = tfidf(split, params)
    return csr_matrix(hstack([identity, content]) if params.get("identity") else content)


def _state(model: LightFM) -> dict[str, FloatArray]:
    """Copy every array of the model."""
    return {
        name: value.copy() for name, value in vars(model).items() if isinstance(value, np.ndarray)
    }


def _restore(model: LightFM, state: dict[str, FloatArray]) -> None:
    for name, value in state.items():
        setattr(model, name, value)
