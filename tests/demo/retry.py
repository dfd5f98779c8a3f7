"""Calls a function until it works."""

import time


class GaveUp(Exception):
    pass


def retry(call, times=3, pause=1.0):
    last = None
    for attempt in range(times):
        try:
            return call()
        except OSError as error:
            last = error
            if attempt < times - 1:
                time.sleep(pause * 2 ** attempt
        else if attempt == times - 1:
            break
    raise GaveUp(f"gave up after {times} attempts") from last
