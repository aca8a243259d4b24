"""The picture of the web page is one, of the width that was asked for."""

import pytest
from PIL import Image

from verif.tools import browser
from verif.tools.page_picture import main


@pytest.mark.slow
@pytest.mark.skipif(browser.chromium() is None, reason="chromium is not installed (Debian: apt-get install chromium)")
def test_picture(tmp_path):
    path = tmp_path / "page.png"
    assert main(["-o", str(path), "--model", "digits", "--width", "640", "--dark"]) == 0
    picture = Image.open(path).convert("RGB")
    assert picture.width == 640 and picture.height > 800
    assert max(picture.getpixel((1, 1))) < 60


def test_no_browser(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="^a browser was not found: install chromium "):
        with browser.open_browser():
            raise AssertionError("must not get here")
