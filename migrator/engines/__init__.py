"""The work itself: copy, verify and what follows. Each engine is written against the two edges and knows no other."""
