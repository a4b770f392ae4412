"""Judging what did not match: each suspect by itself, under live writes."""
