import dataclasses


@dataclasses.dataclass(frozen=True)
class SpecAugment:
    time_masks: int
    max_time_fraction: float
    max_time_frames: int
    frequency_masks: int
    max_frequency_bins: int

    def __call__(self, f, keys):
        return f
