"""The tape on its way: sources, checker, decoder."""
