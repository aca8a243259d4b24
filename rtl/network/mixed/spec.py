"""Both kernels of a network accelerator in numbers: what each of them needs fits.

What is totalled for Z is Q G or e V, and what it is divided by begins with Q k^_sum or the sum of the exponentials. All
that Taylor attention derives from these widths, it derives here from the larger one.
"""

from taylorvit.rtl.attention.softmax.spec import SoftmaxSpec
from taylorvit.rtl.attention.taylor.spec import TaylorSpec

__all__ = ["MixedSpec"]


class MixedSpec(TaylorSpec, SoftmaxSpec):
    """Widths and buffers of an accelerator that has Taylor and softmax attention.

    The attributes that only one of them has are that kernel's. Divisors and numerators are those of Taylor attention,
    shifted left by F as well: softmax attention has neither c_d nor biases.
    """

    hardware = ""
    network_hardware = "taylorvit.rtl.network.mixed.kernel:MixedNetworkKernel"

    told = (*TaylorSpec.told, *SoftmaxSpec.told)

    @property
    def streamed_width(self):
        """Operand that moves right through the array: K^, Q, or an exponential."""
        return max(TaylorSpec.streamed_width.fget(self), SoftmaxSpec.streamed_width.fget(self))

    @property
    def partial_sum_width(self):
        """Partial sums of SA-General, for all of the products."""
        return max(self.g_sum_width, self.score_sum_width, self.qg_width)

    @property
    def qg_width(self):
        """Exact Q G, or exact e V."""
        return max(TaylorSpec.qg_width.fget(self), self.value_sum_width)

    @property
    def q_k_hat_sum_width(self):
        """Exact Q k^_sum^T, or the sum of a row's exponentials with a sign."""
        return max(TaylorSpec.q_k_hat_sum_width.fget(self), self.exponential_sum_width + 1)

    @property
    def shift_max(self):
        """Largest right shift of G or of a score."""
        return max(self.shift_g_max, self.shift_s_max)

    @property
    def row_distance(self):
        """Cycles between two rows of Z's totals, of the faster kernel."""
        return min(TaylorSpec.row_distance.fget(self), SoftmaxSpec.row_distance.fget(self))

    @property
    def row_queue_depth(self):
        """Rows that may wait below the array for division, of either kernel."""
        return max(TaylorSpec.row_queue_depth.fget(self), SoftmaxSpec.row_queue_depth.fget(self))

    @property
    def banks(self):
        """Memories of the buffers of both kernels: name -> ((number of banks, words of each, bits of a word), ...)."""
        return SoftmaxSpec.banks.fget(self) | TaylorSpec.banks.fget(self)
