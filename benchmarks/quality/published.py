"""Figures from papers and leaderboards, on the same split and metric, not measured here."""

# Full ranking, recall@20 and ndcg@20: the BARS leaderboard, the papers, NESCL's README. Sets other
# than gowalla come by the names that BARS gives their splits.
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
    },
    "movielens1m_m1": {
        "NGCF": (0.2513, 0.2511),
        "LightGCN": (0.2576, 0.2427),
        "UltraGCN": (0.2787, 0.2642),
        "SimpleX": (0.2802, 0.2670),
    },
    "amazoncds_m1": {
        "NGCF": (0.1258, 0.0792),
        "BGCF": (0.1506, 0.0948),
        "UltraGCN": (0.1622, 0.1043),
        "SimpleX": (0.1763, 0.1145),
    },
}
