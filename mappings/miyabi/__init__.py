"""The model `miyabi`: the store of a GitHub automation service."""
