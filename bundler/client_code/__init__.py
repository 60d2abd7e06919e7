"""Clients as source code, written from a service's schema: one small typed file."""
