"""What the documents show is what comes out, and what they name exists: files, modules and commands."""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from taylorvit.__main__ import main
from taylorvit.commands import COMMANDS
from taylorvit.compiler import cycles_of
from taylorvit.gen.presets import load_preset, preset_names
from taylorvit.golden.network.vit import SHAPES
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
    return [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]


@pytest.mark.parametrize(
    "command, random_shape",
    [
        ("taylorvit simulate --preset edge-16x16 --input golden/workloads/photos_deit_tiny.npz -o z.npz", None),
        ("taylorvit simulate --preset edge-16x8 --input random.npz", (4, 100, 48)),
        ("taylorvit classify digits --images digits:0-3", None),
        ("taylorvit compile mnist5k --preset vit-16x16 -o build/mnist", None),
        ("taylorvit estimate taylorvit/models/mnist5k.safetensors --preset vit-16x16 --bytes-per-cycle 2", None),
    ],
)
def test_example(command, random_shape, capsys, monkeypatch, tmp_path):
    shown = _shown_after(command)
    if random_shape is not None:
        q, k, v = np.random.default_rng(0).standard_normal((3, *random_shape))
        np.savez(tmp_path / "random.npz", q=q, k=k, v=v)
    (tmp_path / "taylorvit").symlink_to(ROOT / "taylorvit")
    monkeypatch.chdir(tmp_path)
    printed = _run(command.replace("golden/", f"{ROOT}/golden/"), capsys)
    assert len(shown) >= 5
    for shown_line, printed_line in zip(shown, printed, strict=True):
        if "simulation" not in printed_line:  # the seconds are the machine's
            assert shown_line == printed_line


def test_listing_of_a_compiled_network(tmp_path):
    assert main(["compile", "mnist5k", "--preset", "vit-16x16", "-o", str(tmp_path)]) == 0
    listing = (tmp_path / "listing.txt").read_text(encoding="utf-8").splitlines()
    title, *rows = listing[:7]
    assert "\n".join(f"    {line}".rstrip() for line in [title, *rows]) in PAGES


def test_cycles_of_networks():
    """What the README says of the model of MNIST is what can be counted without a simulation."""
    shape, config = SHAPES["vit_28"], load_preset("vit-16x16")
    cycles = cycles_of(shape, config).cycles
    assert f"| MNIST (`vit_28`), `vit-16x16`, 16 bytes a cycle | {cycles:,} |" in PAGES
    assert f"{cycles:,} cycles an image: {1e8 / cycles:,.0f} images a second at 100 MHz" in PAGES


def test_table_of_presets():
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", PAGES, re.MULTILINE))
    assert list(rows) == preset_names("attention")
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
    for kernel, before in (("taylor", "`TaylorKernel.turnaround`,"), ("softmax", "(`SoftmaxKernel.sustains`):")):
        sentence = text.partition(before)[2].partition(".")[0]
        shown = re.findall(r"(\d+)(?: cycles)? for `([\w-]+)`", sentence)
        names = [name for name in preset_names("attention") if load_preset(name).kernel == kernel]
        assert shown == [(str(Accelerator(load_preset(name)).kernel.turnaround), name) for name in names]


def _pages() -> list[Path]:
    names = ("README.md", "CONTRIBUTING.md", "examples/README.md", "golden/workloads/README.md")
    return [*(ROOT / name for name in names), *sorted((ROOT / "docs").glob("*.md"))]


def _code_of(page: Path) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


_FOLDERS = ("boundary", "docs", "examples", "fpga", "gen", "golden", "rtl", "taylorvit", "verif")


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_and_name_exists(page):
    """Files by their path, modules and what is in them by their dotted name.

    Capitals and angle brackets (`fpga/boards/NAME.toml`, `<kernel>`) stand for any name.
    """
    for text in _code_of(page):
        if re.fullmatch(r"[\w./*<>-]+", text) and (text.split("/")[0] in _FOLDERS or text.endswith(".py")):
            pattern = re.sub(r"<\w+>|(?<![^\W_])[A-Z]+(?![^\W_])", "*", text)
            assert any(ROOT.glob(pattern.rstrip("/"))), text
        elif re.fullmatch(rf"({'|'.join(_FOLDERS)})(\.\w+)+(\(.*\))?", text):
            assert _resolves(text.partition("(")[0]), text


def _resolves(name: str) -> bool:
    """Whether there is such a module, or such a name in one; `rtl.config` is the module of `rtl/config.py`."""
    place, *names = name.split(".")
    found = importlib.import_module(place if place in ("taylorvit", "verif") else f"taylorvit.{place}")
    for part in names:
        if not hasattr(found, part):
            if not isinstance(found, ModuleType) or find_spec(f"{found.__name__}.{part}") is None:
                return False
            importlib.import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)
    return True


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_exists(page):
    lines = re.findall(r"^    (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    text = "\n".join([*lines, *_code_of(page)])
    assert set(re.findall(r"(?<![\w./-])(?<!struct )taylorvit ([a-z][\w-]*)", text)) <= {*COMMANDS, "import"}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?<![\w-])make ([a-z-]+)(?=\s|$)", text)) <= targets
    for module in re.findall(r"python -m ([\w.]+)", text):
        assert module == "pytest" or find_spec(module) is not None, module
