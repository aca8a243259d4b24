"""`inspect`: pictures and a table of a trained model."""

import re
from pathlib import Path

from PIL import Image

from .running import run


def test_attention_is_looked_into(trained, capsys):
    status, out, err = run(capsys, "inspect", trained, "--images", 7, "-o", "pictures")
    assert (status, err) == (0, "")
    assert re.search(r"│ +1 │ +\d+\.\d% │ +\d+\.\d% │", out) and "7 held-out images of digits" in out
    for name in ("logits.png", "attention.png"):
        with Image.open(Path("pictures", name)) as picture:
            assert picture.format == "PNG"
