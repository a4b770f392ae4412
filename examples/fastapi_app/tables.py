"""The application's own classes, on the tables of its schema."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads the annotations

from sqlalchemy.orm import DeclarativeBase, Mapped

from mappings.miyabi import schema


class Base(DeclarativeBase):
    """The base of all classes."""

    metadata = schema.metadata


class Organization(Base):
    """An organization."""

    __table__ = schema.organizations
    id: Mapped[str]
    name: Mapped[str]
    updated_at: Mapped[datetime]
