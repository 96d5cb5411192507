"""Keeps the PostgreSQL of the UDECDash dashboard up to date from Canvas Data."""

from __future__ import annotations
