"""A model of the write protocol, and a checker that explores it exhaustively for small sizes."""
