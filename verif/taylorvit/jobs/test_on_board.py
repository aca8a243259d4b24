"""A job that the accelerator of a board cannot take is refused before anything is sent."""

import numpy as np
import pytest

from taylorvit.gen.presets import load_preset
from taylorvit.golden.attention.job import quantize_job
from taylorvit.jobs.on_board import run_on
from taylorvit.rtl.control.host_view import HostView
from verif.regression.mean_kernel import MEAN, registered


class Untouched:
    """A driver that must not be used."""

    view = HostView.of(load_preset("tiny-4x4"))

    def run(self, *arguments, **options):
        raise AssertionError("nothing must be sent")


def test_a_job_of_another_kernel_is_not_sent():
    operands = np.random.default_rng(0).standard_normal((3, 1, 5, 4))
    with registered(), pytest.raises(ValueError, match=f"kernel of the job must be 'taylor', .* not '{MEAN}'"):
        run_on(Untouched(), quantize_job(*operands, kernel=MEAN))
