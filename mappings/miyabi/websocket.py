"""WEBSOCKET: an open connection, by its own id and under its user, gone when its TTL is past."""

from __future__ import annotations

from mappings.miyabi.schema import websocket_connections
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import Attribute, Entity, Expiry, Get, Item, Pattern, Query, only, without

c = websocket_connections.c

WEBSOCKET = Entity(
    "WEBSOCKET",
    source=websocket_connections,
    table=TABLE,
    items=[
        Item("WS#{id}", "METADATA", data=without("connectionId")),
        Item("USER#{user_id}", "WS#{id}", data=only("connectionId", "connectedAt")),
    ],
    data=[
        Attribute("connectionId", c.id),
        Attribute("userId", c.user_id),
        Attribute("connectedAt", c.connected_at),
        Attribute("lastPingAt", c.last_ping_at),
    ],
    attributes=stamps(c.connected_at, c.last_ping_at),
    ttl=Expiry(c.ttl),
)

PATTERNS: list[Pattern] = [
    Get("AP8", "a WebSocket connection", WEBSOCKET),
    Query("user-connections", "a user's connections", WEBSOCKET, item=1),
]
