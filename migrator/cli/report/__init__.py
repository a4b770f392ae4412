"""Reports: what a verification has found, as a document for machines and as a page for people.

A document (`document`) is what `--json` prints, by the schema that is published beside it. A page (`page`, `file`) is
made of a document and of nothing else, so that both tell the same.
"""

from __future__ import annotations
