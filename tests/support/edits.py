"""Changes of one item in place, each of which a verification has to see. A change returns the names that differ then.

One that an item offers no place for (a list's order where there is no list) is not applicable to it, and returns None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias
from unicodedata import normalize

if TYPE_CHECKING:
    from random import Random

    from migrator.mapping import Entity, WireItem

ENVELOPE = "Data"
INDEX_KEYS = ("GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK")
# What no change of an attribute at random may touch: keys of the table and of its indexes, and what is changed as such.
_APART = {"PK", "SK", *INDEX_KEYS, "TTL", "EntityType", ENVELOPE}
_NEVER = "4102444800"
"""An expiry in the year 2100."""
_FLOAT_DIGITS = 17
_NUMBER_DIGITS = 38

Edit: TypeAlias = Callable[["Random", "Entity", "WireItem"], "set[str] | None"]


def _places(item: WireItem) -> dict[str, tuple[dict[str, Any], str]]:
    """Where an item holds ordinary values: by the name that a difference gives it, its holder and its name there."""
    places = {name: (item, name) for name in item if name not in _APART}
    members = item.get(ENVELOPE, {}).get("M", {})
    return places | {f"{ENVELOPE}.{name}": (members, name) for name in members}


def _values(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A typed value and all that it holds."""
    yield value
    ((kind, content),) = value.items()
    if kind in {"M", "L"}:
        for member in content.values() if kind == "M" else content:
            yield from _values(member)


def _somewhere(change: Callable[[Random, dict[str, Any]], bool]) -> Edit:
    """Changes the first of an item's values, at any depth and in an order drawn at random, that `change` can change."""

    def edit(random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
        places = list(_places(item).items())
        random.shuffle(places)
        for name, (holder, member) in places:
            values = list(_values(holder[member]))
            random.shuffle(values)
            if any(change(random, value) for value in values):
                return {name}
        return None

    return edit


def _flip(to: str) -> Edit:
    """Gives an attribute's value another type, near what it was."""

    def edit(random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
        places = {name: at for name, at in _places(item).items() if to not in at[0][at[1]]}
        if not places:
            return None
        name = random.choice(sorted(places))
        holder, member = places[name]
        ((_, content),) = holder[member].items()
        text = content if isinstance(content, str) else "1"
        flipped: dict[str, Any] = {
            "S": text or "1",
            "N": text if text.isascii() and text.isdecimal() and len(text) < 38 else "1",
            "B": "bWlncmF0b3I=",
            "BOOL": True,
            "NULL": True,
            "L": [holder[member]],
            "M": {"value": holder[member]},
            "SS": [text or "1"],
            "NS": ["1"],
        }
        holder[member] = {to: flipped[to]}
        return {name}

    return edit


def _last_digit(_random: Random, value: dict[str, Any]) -> bool:
    """Changes the last digit of a number that no float can tell from its neighbour."""
    text = value.get("N", "")
    if len(text.strip("-").replace(".", "")) <= 17 or "." in text:
        return False
    value["N"] = text[:-1] + str((int(text[-1]) + 1) % 10)
    return True


def _digit_after_the_point(_random: Random, value: dict[str, Any]) -> bool:
    text = value.get("N", "")
    if "." not in text:
        return False
    value["N"] = text + "1"
    return True


def _composition(_random: Random, value: dict[str, Any]) -> bool:
    """Composes or decomposes characters: the text looks the same."""
    text = value.get("S", "")
    other = next((form for form in (normalize("NFC", text), normalize("NFD", text)) if form != text), None)
    if other is None:
        return False
    value["S"] = other
    return True


def _order(_random: Random, value: dict[str, Any]) -> bool:
    members = value.get("L", [])
    if members == members[::-1]:
        return False
    members.reverse()
    return True


def _nested(random: Random, value: dict[str, Any]) -> bool:
    """Changes a string inside a map or a list."""
    inner = [each for each in _values(value) if each is not value and "S" in each]
    if not inner:
        return False
    random.choice(inner)["S"] += "\N{ZERO WIDTH SPACE}"
    return True


def _nested_member(_random: Random, value: dict[str, Any]) -> bool:
    if not value.get("M"):
        return False
    value["M"].popitem()
    return True


def _emptied(_random: Random, value: dict[str, Any]) -> bool:
    if not value.get("S"):
        return False
    value["S"] = ""
    return True


def _space(_random: Random, value: dict[str, Any]) -> bool:
    if not value.get("S"):
        return False
    value["S"] += " "
    return True


def _sign(_random: Random, value: dict[str, Any]) -> bool:
    if value.get("N", "0") == "0":
        return False
    value["N"] = value["N"][1:] if value["N"].startswith("-") else f"-{value['N']}"
    return True


def _set_of(value: dict[str, Any]) -> list[str] | None:
    """The members of a set."""
    return next((value[kind] for kind in ("SS", "NS", "BS") if kind in value), None)


def _set_member_removed(random: Random, value: dict[str, Any]) -> bool:
    members = _set_of(value)
    if members is None or len(members) == 1:
        return False
    members.remove(random.choice(members))
    return True


def _set_member_added(_random: Random, value: dict[str, Any]) -> bool:
    members = _set_of(value)
    if members is None:
        return False
    members.append("9999" if "BS" in value else "4711")
    return True


def _digit_of_a_set_member(random: Random, value: dict[str, Any]) -> bool:
    """Changes the last of many digits of a number in a set."""
    members = [member for member in value.get("NS", []) if len(member) >= _NUMBER_DIGITS]
    if not members:
        return False
    member = random.choice(members)
    value["NS"].remove(member)
    value["NS"].append(member[:-1] + str((int(member[-1]) + 1) % 10))
    return True


def _set_as_list(_random: Random, value: dict[str, Any]) -> bool:
    members = _set_of(value)
    if members is None:
        return False
    ((kind, _),) = value.items()
    value.clear()
    value["L"] = [{kind[0]: member} for member in members]
    return True


def _negated(_random: Random, value: dict[str, Any]) -> bool:
    if "BOOL" not in value:
        return False
    value["BOOL"] = not value["BOOL"]
    return True


def _removed(random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    places = _places(item)
    # An envelope that is left empty is another thing than one that is gone.
    name = random.choice(sorted(places))
    holder, member = places[name]
    del holder[member]
    return {name}


def _null_removed(random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    nulls = sorted(name for name, (holder, member) in _places(item).items() if "NULL" in holder[member])
    if not nulls:
        return None
    name = random.choice(nulls)
    holder, member = _places(item)[name]
    del holder[member]
    return {name}


def _added(value: dict[str, Any], *, enveloped: bool) -> Edit:
    """Adds an attribute that the item does not have: one that its mapping knows, where there is one."""

    def edit(random: Random, entity: Entity, item: WireItem) -> set[str] | None:
        if not enveloped:
            item["Extra"] = value
            return {"Extra"}
        members = item.get(ENVELOPE, {}).get("M")
        if members is None:
            return None
        absent = sorted({member.name for member in entity.data} - members.keys())
        name = random.choice(absent) if absent else "extra"
        members[name] = value
        return {f"{ENVELOPE}.{name}"}

    return edit


def _without_envelope(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    return {ENVELOPE} if item.pop(ENVELOPE, None) else None


def _another_envelope(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    item[ENVELOPE] = {"S": "{}"}
    return {ENVELOPE}


def _entity_type(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    item["EntityType"] = {"S": item["EntityType"]["S"].lower()}
    return {"EntityType"}


def _another_entity_type(_random: Random, entity: Entity, item: WireItem) -> set[str] | None:
    item["EntityType"] = {"S": "TASK" if entity.name == "USER" else "USER"}
    return {"EntityType"}


def _no_entity_type(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    del item["EntityType"]
    return {"EntityType"}


def _index_key_changed(random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    keys = sorted(item.keys() & set(INDEX_KEYS))
    if not keys:
        return None
    name = random.choice(keys)
    item[name] = {"S": item[name]["S"] + "0"}
    return {name}


def _index_key_removed(random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    keys = sorted(item.keys() & set(INDEX_KEYS))
    if not keys:
        return None
    name = random.choice(keys)
    del item[name]
    return {name}


def _left_index(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    keys = item.keys() & set(INDEX_KEYS)
    for name in keys:
        del item[name]
    return set(keys) or None


def _index_keys_added(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    added = {name for name in INDEX_KEYS if name not in item}
    for name in added:
        item[name] = {"S": "STRAY#1"}
    return added or None


def _ttl_changed(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    if "TTL" not in item:
        return None
    item["TTL"] = {"N": str(int(item["TTL"]["N"]) + 1)}
    return {"TTL"}


def _ttl_past(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    """The item looks expired; its row is not."""
    item["TTL"] = {"N": "1500000000"}
    return {"TTL"}


def _ttl_as_text(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    if "TTL" not in item:
        return None
    item["TTL"] = {"S": item["TTL"]["N"]}
    return {"TTL"}


def _ttl_removed(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    return {"TTL"} if item.pop("TTL", None) else None


def _ttl_added(_random: Random, _entity: Entity, item: WireItem) -> set[str] | None:
    if "TTL" in item:
        return None
    item["TTL"] = {"N": _NEVER}
    return {"TTL"}


EDITS: dict[str, Edit] = {
    **{f"type to {to}": _flip(to) for to in ("S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS")},
    "last digit beyond a float": _somewhere(_last_digit),
    "sign of a number": _somewhere(_sign),
    "digit after the point": _somewhere(_digit_after_the_point),
    "composition of characters": _somewhere(_composition),
    "order of a list": _somewhere(_order),
    "nested value": _somewhere(_nested),
    "nested member removed": _somewhere(_nested_member),
    "text emptied": _somewhere(_emptied),
    "space after a text": _somewhere(_space),
    "boolean negated": _somewhere(_negated),
    "attribute removed": _removed,
    "NULL removed": _null_removed,
    "NULL added": _added({"NULL": True}, enveloped=True),
    "empty text added": _added({"S": ""}, enveloped=True),
    "empty list added": _added({"L": []}, enveloped=True),
    "attribute added": _added({"S": "extra"}, enveloped=False),
    "envelope removed": _without_envelope,
    "envelope of another type": _another_envelope,
    "entity type changed": _entity_type,
    "entity type of another entity": _another_entity_type,
    "entity type removed": _no_entity_type,
    "index key changed": _index_key_changed,
    "index key removed": _index_key_removed,
    "left its indexes": _left_index,
    "index keys added": _index_keys_added,
    "TTL changed": _ttl_changed,
    "TTL in the past": _ttl_past,
    "TTL of another type": _ttl_as_text,
    "TTL removed": _ttl_removed,
    "TTL added": _ttl_added,
}
"""By name."""

SET_EDITS: dict[str, Edit] = {
    "set member removed": _somewhere(_set_member_removed),
    "set member added": _somewhere(_set_member_added),
    "digit of a set member": _somewhere(_digit_of_a_set_member),
    "set as a list": _somewhere(_set_as_list),
}
"""Those that only an item with sets offers a place for."""
