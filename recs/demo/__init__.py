"""The demo: a shop, made up or real, and the story that is told on it."""
