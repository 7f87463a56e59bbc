"""The arithmetic of a training, and what decided it: a part of manifest, report and record."""

from steps.governance.documents.document import Count, Part


class Tried(Part):
    """One mode of `auto` on this GPU.

    `tokens_per_second` is that of the decoder layers in forward and backward, with the layers that
    recompute; None where the mode was not timed, and `fault` has the reason.
    """

    mode: str
    tokens_per_second: float | None = None
    pass_tokens: Count | None = None
    recomputed_layers: Count | None = None
    fault: str | None = None


class Choice(Part):
    """What `auto` chose and by which figures; `predicted` is the mode that the roofline names."""

    mode: str
    predicted: str
    reason: str
    tried: list[Tried]


class Precision(Part):
    """The requested precision and the one that ran, so that a fallback to bf16 is visible.

    `choice` is there where `auto` chose on a GPU. `kernels` is `triton`, or `plain` with the
    reason; None on the CPU. Older documents have neither.
    """

    requested: str
    effective: str
    dtype: str
    device: str
    choice: Choice | None = None
    kernels: str | None = None

    @property
    def tags(self) -> dict[str, str]:
        """Tags of a training run and of a model version."""
        return {
            "fp8_requested": self.requested,
            "fp8_effective": self.effective,
            "fp8_dtype": self.dtype,
            "fp8_device": self.device,
        }
