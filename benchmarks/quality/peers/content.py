"""Peers that read what an item is: TF-IDF profiles, and content neighbours over ALS factors."""

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.quality.datasets import IntArray, ItemContent
from benchmarks.quality.method import Params, Scores, Scoring
from benchmarks.quality.peers.als import factorise
from benchmarks.quality.protocols import Split


def words(content: ItemContent) -> str:
    """Return the title, the description, and the words of the textual attributes."""
    return " ".join([content.title, content.description, *_labels(content)])


def _labels(content: ItemContent) -> list[str]:
    """Return genres, tags and the like, and the year; another number is no word."""
    values = content.attributes.values()
    lists = [[value] if isinstance(value, str) else value for value in values]
    year = content.attributes.get("year")
    years = [f"{year:.0f}"] if isinstance(year, int | float) else []
    return [str(label) for labels in lists if isinstance(labels, list) for label in labels] + years


def tfidf(split: Split, params: Params) -> csr_array:
    """Return L2-normed TF-IDF rows of words and pairs of words, [n_items, terms]."""
    documents = [words(content) for content in split.contents]
    vectorizer = TfidfVectorizer(
        ngram_range=(1, int(params.get("ngrams") or 2)),
        stop_words=params.get("stop_words"),
        sublinear_tf=True,
        dtype=np.float32,
    )
    return csr_array(vectorizer.fit_transform(documents))


def fit_profile(split: Split, params: Params, seed: int) -> Scoring:
    """Score by the cosine of an item's terms to the sum of those of the user's items."""
    del seed
    items = tfidf(split, params)

    def score(users: IntArray, history: csr_array) -> Scores:
        del users
        return np.asarray(((history @ items) @ items.T).toarray(), np.float32)

    return Scoring(split, score, params.get("half_life"))


def fit_neighbours(split: Split, params: Params, seed: int) -> Scoring:
    """Score a new item by the ALS factors of its nearest warm items, weighted by similarity."""
    factors = factorise(split, params, seed)
    items = factors.items.copy()
    cold = np.setdiff1d(np.arange(split.dataset.n_items), split.warm_items)
    items[cold] = _borrowed(split, params, items, cold)

    def score(users: IntArray, history: csr_array) -> Scores:
        return factors.users(users, history) @ items.T

    return Scoring(split, score, params.get("half_life"))


def _borrowed(split: Split, params: Params, items: Scores, cold: IntArray) -> Scores:
    """Return the mean factors of the nearest warm items of every cold one."""
    content = tfidf(split, params)
    warm = split.warm_items
    similarity = (content[cold] @ content[warm].T).toarray()
    k = int(params["neighbours"])
    nearest = np.argpartition(-similarity, k, axis=1)[:, :k]
    values = np.take_along_axis(similarity, nearest, axis=1)
    values /= np.maximum(values.sum(axis=1, keepdims=True), 1e-9)
    return np.asarray(np.einsum("ck,ckf->cf", values, items[warm[nearest]]), np.float32)
