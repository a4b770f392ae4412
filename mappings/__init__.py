"""The models that the toolkit moves: one package per model, each with its source schema and its mapping modules."""
