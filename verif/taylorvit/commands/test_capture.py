"""`capture`: Q, K and V of a trained model."""

from taylorvit.golden import workloads

from .running import run


def test_workloads_are_captured(trained, capsys):
    status, out, err = run(capsys, "capture", trained, "--images", 3, "--layers", 1, "-o", "a.npz")
    assert (status, err) == (0, "")
    assert out == "9 heads of 5 tokens x 4 features\nwrote  a.npz\n"
    assert workloads.load("a.npz").q.shape == (9, 5, 4)
