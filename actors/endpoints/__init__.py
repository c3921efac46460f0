"""Endpoint types: one file each, named as the type is in a topology."""
