"""Applications that use the toolkit."""
