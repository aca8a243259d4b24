"""The same run every time: examples are derived from the tests, and torch computes in one thread."""

import torch
from hypothesis import settings

settings.register_profile("golden", deadline=None, derandomize=True, database=None)
settings.load_profile("golden")

torch.set_num_threads(1)  # the models are small, and pytest-xdist runs several of them
