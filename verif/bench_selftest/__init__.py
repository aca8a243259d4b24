"""Self-tests of the simulation tools: that they pass what is right and, above all, fail what is wrong."""
