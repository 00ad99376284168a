"""Numbers that cannot be are found before anything is opened."""

import pytest

from configs import quickstart
from jasr.errors import UserError
from jasr.experiment.config_checks import check_numbers


def test_numbers_of_a_config_may_be_what_they_are():
    check_numbers(quickstart.get_config("ctc,smoke").to_dict())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", -1, "config.seed is -1: expected a whole number of at least 0 and at most"),
        ("seed", 2**40, "config.seed is 1099511627776"),
        (
            "train.log_every",
            0,
            "config.train.log_every is 0: expected a whole number of at least 1",
        ),
        ("train.evaluate_every", 0, "config.train.evaluate_every is 0"),
        ("train.microbatches", 0, "config.train.microbatches is 0"),
        ("data.num_buckets", 0, "config.data.num_buckets is 0"),
        ("data.batch_seconds", -5.0, "config.data.batch_seconds is -5.0: expected seconds"),
        ("data.max_seconds", 0.0, "config.data.max_seconds is 0.0"),
        ("evaluation.batch_seconds", float("nan"), "config.evaluation.batch_seconds is nan"),
    ],
)
def test_a_number_that_cannot_be_is_named(key, value, message):
    config = quickstart.get_config("ctc,smoke")
    config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError, match=message):
        check_numbers(config.to_dict())
