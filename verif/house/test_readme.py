"""What the README and the tour show is what comes out: their examples and the table of presets."""

import re

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.rtl.accelerator import Accelerator
from verif import ROOT

PAGES = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/tutorial.md"))


def _shown_after(command: str) -> list[str]:
    """The lines of the example that begins with `$ command`."""
    first, *others = re.findall(rf"^    \$ {re.escape(command)}\n((?:    .*\n)+)", PAGES, re.MULTILINE)
    assert all(block == first for block in others)
    return [line.strip() for line in first.splitlines()]


def _run(command: str, capsys) -> list[str]:
    assert main(command.split()[1:]) == 0  # without `taylorvit`
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "command, random_shape",
    [
        ("taylorvit simulate --preset edge-16x16 --input golden/workloads/photos_deit_tiny.npz -o z.npz", None),
        ("taylorvit simulate --preset edge-16x8 --input random.npz", (4, 100, 48)),
    ],
)
def test_example(command, random_shape, capsys, monkeypatch, tmp_path):
    shown = _shown_after(command)
    if random_shape is not None:
        q, k, v = np.random.default_rng(0).standard_normal((3, *random_shape))
        np.savez(tmp_path / "random.npz", q=q, k=k, v=v)
    monkeypatch.chdir(tmp_path)
    printed = _run(command.replace("golden/", f"{ROOT}/golden/"), capsys)
    assert len(shown) > 10
    for shown_line, printed_line in zip(shown, printed, strict=True):
        if "simulation" not in printed_line:  # the seconds are the machine's
            assert shown_line == printed_line


def test_table_of_presets():
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", PAGES, re.MULTILINE))
    assert list(rows) == preset_names()
    for name, row in rows.items():
        config = load_preset(name)
        tokens, head_dim = min(config.max_tokens, 197), min(config.max_head_dim, 64)
        assert row == " | ".join(
            [
                f"{config.rows} x {config.columns}, {config.rows} x 1",
                f"{config.max_tokens}, {config.max_head_dim}",
                f"{config.stream_width} bits",
                f"{sum(config.buffer_bytes.values()):,}",
                f"{config.array_cycles(tokens, head_dim):,}",
            ]
        )


def test_turnarounds_of_the_presets():
    text = " ".join((ROOT / "docs/architecture.md").read_text(encoding="utf-8").split())
    sentence = text.partition("`TaylorKernel.turnaround`,")[2].partition(".")[0]
    shown = re.findall(r"(\d+)(?: cycles)? for `([\w-]+)`", sentence)
    assert shown == [(str(Accelerator(load_preset(name)).kernel.turnaround), name) for name in preset_names()]


def test_every_link_leads_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
