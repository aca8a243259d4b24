"""The host link, its blocks one by one and as a whole."""
