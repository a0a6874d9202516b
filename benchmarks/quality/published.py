"""Figures from papers and leaderboards, on the same split and metric, not measured here."""

# Full ranking, recall@20 and ndcg@20: the BARS leaderboard, the papers, NESCL's README.
WARM: dict[str, dict[str, tuple[float, float]]] = {
    "gowalla": {
        "MF-BPR": (0.1627, 0.1378),
        "YoutubeDNN": (0.1754, 0.1473),
        "EASE": (0.1765, 0.1467),
        "LightGCN": (0.1830, 0.1554),
        "MF-CCL": (0.1837, 0.1493),
        "GF-CF": (0.1849, 0.1518),
        "UltraGCN": (0.1862, 0.1580),
        "SimpleX": (0.1872, 0.1557),
        "NESCL": (0.1917, 0.1617),
        "BSPM-EM": (0.1920, 0.1597),
    }
}
