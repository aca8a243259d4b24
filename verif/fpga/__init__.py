"""Boards: their link, drivers and builds."""
