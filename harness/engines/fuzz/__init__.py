"""Hostile callbacks against a receiver: what is known to have worked somewhere, and what chance makes up."""
