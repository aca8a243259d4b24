"""The specification of a kernel: chosen by configuration, told to a host, its registers in their places."""

import re
import subprocess
import sys

import pytest

from taylorvit.rtl.accelerator import Accelerator
from taylorvit.rtl.attention import KERNELS, kernel_number
from taylorvit.rtl.attention.spec import JobRegister
from taylorvit.rtl.attention.taylor.kernel import TaylorKernel
from taylorvit.rtl.attention.taylor.spec import TaylorSpec
from taylorvit.rtl.config import AcceleratorConfig, ConfigError
from taylorvit.rtl.control.host_view import HostView
from taylorvit.rtl.control.registers import register_map
from verif.regression.mean_kernel import MEAN, MeanKernel, registered

SMALL = {"name": "small", "rows": 4, "columns": 4, "max_tokens": 64, "max_head_dim": 16}


@pytest.fixture
def mean():
    with registered():
        yield AcceleratorConfig(**SMALL, kernel=MEAN)


def test_taylor_is_number_0():
    assert kernel_number("taylor") == 0  # in the hardware of users
    assert type(AcceleratorConfig(**SMALL).spec) is TaylorSpec
    assert type(Accelerator(AcceleratorConfig(**SMALL)).kernel) is TaylorKernel


def test_configuration_chooses_the_kernel(mean):
    assert type(Accelerator(mean).kernel) is MeanKernel
    assert AcceleratorConfig.from_mapping(mean.to_mapping()) == mean


@pytest.mark.parametrize("kernel", [MEAN, "", None, ["taylor"]])
def test_unknown_kernel(kernel):
    text = f"kernel must be one of {', '.join(KERNELS)}, not {kernel!r}"
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        AcceleratorConfig(**SMALL, kernel=kernel)


def test_attributes_of_the_specification_are_the_configurations():
    config = AcceleratorConfig(**SMALL)
    assert config.qg_width == config.spec.qg_width == 20
    with pytest.raises(AttributeError, match="^configuration of taylor attention has no attribute 'colums'$"):
        _ = config.colums


def test_a_fault_in_a_specification_is_named_as_what_it_is(monkeypatch):
    monkeypatch.setattr(TaylorSpec, "qg_width", property(lambda spec: spec.config.colums))
    with pytest.raises(AttributeError, match="has no attribute 'colums'$"):
        _ = AcceleratorConfig(**SMALL).qg_width


def test_registers_of_another_kernel(mean):
    registers = {register.name: register.offset for register in register_map(mean)}
    taylor = {register.name: register.offset for register in register_map(AcceleratorConfig(**SMALL))}
    assert registers["SHIFT_Z"] == 0x08C and registers["TIMEOUT"] == 0x0A8
    assert taylor.keys() - registers.keys() == {"SHIFT_G", "C_V_0", "C_V_1", "C_D_0", "C_D_1", "C_D_2"}
    assert register_map(mean)["CONSTANT_WIDTHS"]["KERNEL"].reset == list(KERNELS).index(MEAN)


def test_host_is_told_the_kernel(mean):
    words = {register.name: register.reset for register in register_map(mean)}
    view = HostView.from_registers(words, "small")
    assert view == HostView.of(mean) and view.kernel == MEAN
    assert register_map(view) == register_map(mean)
    taylor = HostView.of(AcceleratorConfig(**SMALL))
    assert f"KERNEL is {MEAN}, not taylor" in view.differences(taylor)
    assert "C_V_WIDTH is none, not 24" in view.differences(taylor)
    words["CONSTANT_WIDTHS"] |= 0xFF << 24
    most = len(KERNELS) - 1
    with pytest.raises(ValueError, match=rf"^KERNEL in register CONSTANT_WIDTHS must be in 0\.\.{most}, not 255$"):
        HostView.from_registers(words, "small")


SHIFT_Z = JobRegister(name="shift_z", minimum=0, maximum=3, description="shift")


def wide(words):
    return JobRegister(name="wide", minimum=0, maximum=(1 << (32 * words)) - 1, description="constant", words=words)


def test_most_words_of_job_registers(mean, monkeypatch):
    every = (wide(12), SHIFT_Z)
    monkeypatch.setattr("verif.regression.mean_kernel.MeanSpec.job_registers", staticmethod(lambda view: every))
    with pytest.raises(ValueError, match="^registers of a kernel must have at most 12 words, not 13$"):
        register_map(mean)


def test_kernel_without_registers(mean, monkeypatch):
    monkeypatch.setattr("verif.regression.mean_kernel.MeanSpec.job_registers", staticmethod(lambda view: ()))
    before = {register.name for register in register_map(AcceleratorConfig(**SMALL))}
    assert before - {register.name for register in register_map(mean)} >= {"SHIFT_G", "SHIFT_Z"}


def test_registers_go_around_timeout(mean, monkeypatch):
    every = (wide(11), SHIFT_Z)
    monkeypatch.setattr("verif.regression.mean_kernel.MeanSpec.job_registers", staticmethod(lambda view: every))
    offsets = {register.name: register.offset for register in register_map(mean)}
    assert (offsets["WIDE_6"], offsets["TIMEOUT"], offsets["WIDE_7"], offsets["SHIFT_Z"]) == (
        0x0A4,
        0x0A8,
        0x0AC,
        0x0BC,
    )


def test_configuration_needs_no_hardware():
    """Not even Amaranth is imported where a configuration is only read, and checked."""
    program = (
        "import sys; from taylorvit.rtl.config import AcceleratorConfig; "
        "AcceleratorConfig(name='a', rows=4, columns=4, multiplier='ecp5'); print('amaranth' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
