"""The source edge: what the toolkit reads from PostgreSQL, and what it keeps there in its own schema `migrator`."""
