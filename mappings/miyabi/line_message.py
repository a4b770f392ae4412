"""LINE_MESSAGE: in time order under its user, kept for 30 days."""

from __future__ import annotations

from datetime import timedelta

from mappings.miyabi.schema import line_messages
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import Attribute, Entity, Expiry, Item, Pattern, Query

c = line_messages.c

LINE_MESSAGE = Entity(
    "LINE_MESSAGE",
    source=line_messages,
    table=TABLE,
    items=[
        Item("USER#{user_id}", "LINE_MSG#{created_at}#{id}"),
    ],
    data=[
        Attribute("lineUserId", c.line_user_id),
        Attribute("messageType", c.message_type),
        Attribute("content", c.content),
        Attribute("metadata", c.metadata),
    ],
    attributes=stamps(c.created_at),
    ttl=Expiry(c.created_at, after=timedelta(days=30)),
)

PATTERNS: list[Pattern] = [
    Query("user-messages", "a user's LINE messages, in time order", LINE_MESSAGE),
]
