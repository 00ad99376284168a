"""Cross-entropy of classes and tags."""

import dataclasses

from jasr.objectives.cross_entropy import label_terms
from jasr.objectives.objective import Terms, read_output, read_target
from jasr.types import Batch, Outputs


@dataclasses.dataclass(frozen=True)
class Classification:
    """-log p(class), counted per place that has one: a recording, or a token.

    head: name of the output [batch, places, classes] and of the target [batch, places].
    """

    head: str
    label_smoothing: float = 0.0

    def __call__(self, outputs: Outputs, batch: Batch) -> Terms:
        logits = read_output(outputs, self.head, "classification")
        labels = read_target(batch, self.head, "classification")
        return label_terms(logits, labels, batch, self.label_smoothing)
