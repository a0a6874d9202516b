"""Between the database and the learning: read, train, publish, gate, evaluate."""
