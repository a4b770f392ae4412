"""Repairing what differs, by marks and reconcile."""
