"""Reading both sides: in parts, by several processes, each row and item reduced to a line on disk."""
