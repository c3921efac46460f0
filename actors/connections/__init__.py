"""Transports that several actors share."""
