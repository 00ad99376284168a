"""Contenders measured in turn, so that a drift of the machine's speed meets all of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter


def in_turn(names: Sequence[str], *, rounds: int) -> Iterator[str]:
    """Every name once a round; the order turns from round to round."""
    for number in range(rounds):
        start = number % len(names)
        yield from [*names[start:], *names[:start]]


def seconds_in_turn(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int
) -> dict[str, list[float]]:
    """Seconds of each contender's runs, after one run each that is not timed."""
    for run in contenders.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for name in in_turn(tuple(contenders), rounds=rounds):
        start = perf_counter()
        contenders[name]()
        seconds[name].append(perf_counter() - start)
    return seconds
