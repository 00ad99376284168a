"""What hears waveforms in pretraining hears them when it is fine-tuned."""

import flax.linen as nn
import jax
import pytest
from flax.traverse_util import flatten_dict

from configs import finetune, pretrain
from jasr.errors import UserError
from jasr.experiment.data import empty_batch
from jasr.experiment.model import build_model
from jasr.text.tokenizer import train_tokenizer
from jasr.training.state import abstract_params, initializer


def shapes_of(config):
    model = build_model(config.to_dict()["model"], train_tokenizer("byte", ["a"], vocab_size=0))
    batch = empty_batch(1, samples=16_000, tokens=4)
    drawn = nn.unbox(abstract_params(initializer(model, batch)))
    return {path: leaf.shape for path, leaf in flatten_dict(drawn, sep="/").items()}


@pytest.mark.parametrize("objective", ["contrastive", "data2vec"])
def test_a_recogniser_has_the_encoder_that_was_pretrained(objective):
    before = shapes_of(pretrain.get_config(f"{objective},waveform,smoke"))
    after = shapes_of(finetune.get_config("10,waveform,smoke"))
    kept = {path for path in before if not path.startswith("heads_")}
    assert {path: before[path] for path in kept} == {path: after[path] for path in kept}
    assert all(path.startswith("ctc_head/") for path in after.keys() - kept)


@pytest.mark.parametrize("objective", ["bestrq", "hubert"])
def test_targets_of_log_mel_frames_are_not_for_waveforms(objective):
    with pytest.raises(UserError, match="give contrastive or data2vec"):
        pretrain.get_config(f"{objective},waveform")


def test_no_waveform_is_blanked_by_spec_augment():
    assert not finetune.get_config("waveform").model.spec_augment
    assert jax.tree.leaves(finetune.get_config("waveform").model.span_mask.to_dict())
