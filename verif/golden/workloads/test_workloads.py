"""The captured operands are what their provenance says, and the integers keep their fidelity on them."""

import numpy as np
import pytest

from taylorvit.golden import workloads
from taylorvit.golden.reports.fidelity import fidelity_of_job


@pytest.mark.parametrize("name, shape", [("mnist_vit", (64, 50, 32)), ("photos_deit_tiny", (6, 197, 64))])
def test_captured_operands(name, shape):
    workload = workloads.load(name)
    for operand in workload[:3]:
        assert operand.shape == shape and operand.dtype == np.float32
        assert np.isfinite(operand).all() and operand.std() > 0.1
        assert np.array_equal(operand, operand.astype(np.float16))
    provenance = workload.provenance
    heads = len(provenance["captured_images"]) * provenance["layers"] * provenance["heads_per_layer"]
    assert heads == shape[0]
    assert provenance["attention"] in ("taylor", "vitality") and provenance["made_by"].endswith(" capture")
    assert provenance["held_out_accuracy"] == provenance["held_out_correct"] / provenance["held_out_tested"]
    assert (workloads.FOLDER / f"{name}.npz").stat().st_size < 1_000_000


def test_layers_partition_the_heads():
    workload = workloads.load("mnist_vit")
    layers = workload.heads_of_layers()
    assert len(layers) == 4
    assert layers[1].tolist()[:4] == [2, 3, 10, 11]  # two heads a layer, eight an image
    assert sorted(np.concatenate(layers).tolist()) == list(range(64))


@pytest.mark.parametrize("name", ["mnist_vit", "photos_deit_tiny"])
def test_captured_operands_keep_their_fidelity(name):
    workload = workloads.load(name)
    job = fidelity_of_job(workload.q, workload.k, workload.v)
    assert job.integers > 25 and job.denominator_errors == 0


def test_names_and_paths():
    assert {"mnist_vit", "photos_deit_tiny"} <= set(workloads.names())
    by_path = workloads.load(workloads.FOLDER / "mnist_vit.npz")
    assert np.array_equal(by_path.q, workloads.load("mnist_vit").q)


def test_installed_without_workloads(monkeypatch, tmp_path):
    monkeypatch.setattr(workloads, "FOLDER", tmp_path)
    with pytest.raises(
        ValueError, match=r"^cannot load the workload 'mnist_vit': captured workloads are in the checkout"
    ):
        workloads.load("mnist_vit")


def test_saving_and_loading(tmp_path):
    q, k, v = np.random.default_rng(0).normal(size=(3, 2, 4, 3)).astype(np.float32)
    provenance = {"layers": 1, "heads_per_layer": 2}
    workloads.save(tmp_path / "small.npz", workloads.Workload(q, k, v, provenance))
    loaded = workloads.load(tmp_path / "small.npz")
    np.testing.assert_allclose(loaded.q, q, rtol=1e-3)
    assert loaded.provenance == provenance


def test_values_are_rounded_to_as_many_bits_as_float16_has(tmp_path):
    """In the range of float32: 65,520 is no infinity, and what is tiny no zero."""
    q = np.array([1 / 3, -2049, 2051, 65519, 65520, 1e-9, -1e30, 0], dtype=np.float32).reshape(1, 4, 2)
    workloads.save(tmp_path / "a.npz", workloads.Workload(q, q, q, {"layers": 1, "heads_per_layer": 1}))
    saved = workloads.load(tmp_path / "a.npz").q
    assert saved.dtype == np.float32
    assert np.array_equal(saved.ravel()[:4], q.ravel()[:4].astype(np.float16))
    np.testing.assert_allclose(saved, q, rtol=2**-11)
    assert saved.ravel()[4] == 65536 and saved.ravel()[7] == 0


@pytest.mark.parametrize("value", [np.nan, -np.inf, 3.4028e38])
def test_what_is_not_finite_is_not_saved(tmp_path, value):
    x = np.ones((1, 2, 2), dtype=np.float32)
    wrong = x.copy()
    wrong[0, 1, 0] = value
    with pytest.raises(ValueError, match="^v must be finite, and is not$"):
        workloads.save(tmp_path / "a.npz", workloads.Workload(x, x, wrong, {}))
    assert not list(tmp_path.iterdir())


def test_what_is_not_a_workload_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"workload must be a file or one of .*mnist_vit.*, not 'imagenet'"):
        workloads.load("imagenet")
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    with pytest.raises(ValueError, match=r"text.npz: file must be an .npz file, .*not one of another kind$"):
        workloads.load(text)
    np.savez(tmp_path / "other.npz", q=np.zeros(1))
    with pytest.raises(ValueError, match=r"other.npz: file must have the arrays q, k, v, .*and lacks k, v, prov"):
        workloads.load(tmp_path / "other.npz")
