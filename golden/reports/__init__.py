"""What is measured of a model: tables and pictures."""
