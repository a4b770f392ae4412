"""`python -m tests.unit.protocol [VARIANT...]`: what the checker finds, as readable traces."""

from __future__ import annotations

import sys

from tests.unit.protocol import switch_variants, variants
from tests.unit.protocol.checker import explore, lost_write
from tests.unit.protocol.rules import Model

SOUND = {**variants.SOUND, **switch_variants.SOUND}
VARIANTS: dict[str, variants.Variant | switch_variants.Variant] = {**variants.VARIANTS, **switch_variants.VARIANTS}


def show(title: str, text: object) -> None:
    """Write one finding."""
    sys.stdout.write(f"{title}\n{text}\n\n")
    sys.stdout.flush()


def main(names: list[str]) -> None:
    """Explore the broken variants that are named; without names the sound protocol first, then all of them."""
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        sys.exit(f"There is no variant {unknown[0]!r}. There are: {', '.join(VARIANTS)}.")
    for name, configuration in () if names else SOUND.items():
        show(name, explore(Model(configuration)))
    for name in names or VARIANTS:
        variant = VARIANTS[name]
        show(f"{name}: an invariant breaks", explore(variant.model))
        if variant.loses:
            show(f"{name}: a write is lost", lost_write(variant.model))


if __name__ == "__main__":
    main(sys.argv[1:])
