"""`map` on threads: in order, and with a bounded number of results waiting."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    num_threads: int,
    items_under_way: int | None = None,
) -> Iterator[Result]:
    """Results in the items' order; no more than `items_under_way` (4 a thread) exist at a time."""
    items_under_way = items_under_way or 4 * num_threads
    items = iter(items)
    under_way: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
        try:
            while True:
                for item in itertools.islice(items, items_under_way - len(under_way)):
                    under_way.append(pool.submit(function, item))
                if not under_way:
                    return
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
