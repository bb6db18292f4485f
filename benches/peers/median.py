"""How the peers time a step: the median of many, after a tenth of them as warm-up."""

import statistics
import time


def median(count, step):
    """Milliseconds."""
    times = []
    for i in range(count + count // 10 + 1):
        start = time.perf_counter()
        step()
        if i > count // 10:
            times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)
