"""Records which lines of one file each test runs, and whether the test failed. PYTEST_DONT_REWRITE

The file is named by LASTMILE_TRACE_FILE. At exit each process that ran tests writes {"tests": [{"id", "failed",
"lines"}]} beside LASTMILE_TRACE_OUT, with its process id at the end of the name. Tests that were skipped or expected
to fail say nothing and are left out, and so are lines of modules and classes, which run when they are imported.
"""

import atexit
import json
import os
import sys
import threading

OUT = os.environ.get("LASTMILE_TRACE_OUT")
FILE = os.path.normcase(os.path.realpath(os.environ.get("LASTMILE_TRACE_FILE", "")))
PID = os.getpid()
CO_OPTIMIZED = 1  # set for functions, not for modules and classes
known = {}  # whether a code's file name is FILE
tests = []
test = None  # the one that runs
lines = None  # those it ran
tool = None  # our number for sys.monitoring
earlier = None  # trace functions that were set before


def is_watched(code):
    name = code.co_filename
    if name not in known:
        try:
            known[name] = os.path.normcase(os.path.realpath(name)) == FILE
        except Exception:
            known[name] = False
    return known[name] and code.co_flags & CO_OPTIMIZED


def on_line_event(code, line):
    seen = lines  # another thread may end the test meanwhile
    if seen is not None and is_watched(code):
        seen.add(line)
    return sys.monitoring.DISABLE  # until the next test: once is enough


def on_call(frame, event, argument):
    return on_line if is_watched(frame.f_code) else None


def on_line(frame, event, argument):
    seen = lines
    if event == "line" and seen is not None:
        seen.add(frame.f_lineno)
    return on_line


def monitor():
    """Takes a number for sys.monitoring, where there is one left."""
    global tool
    for number in (4, 3):
        try:
            sys.monitoring.use_tool_id(number, "lastmile")
        except ValueError:
            continue
        line = sys.monitoring.events.LINE
        sys.monitoring.register_callback(number, line, on_line_event)
        sys.monitoring.set_events(number, line)
        tool = number
        return


def begin(name):
    """Starts a test; False inside of another one."""
    global test, lines, earlier
    if test is not None or not OUT:
        return False
    try:
        # Programs that a test starts are no tests of the project.
        os.environ.pop("LASTMILE_TRACE_OUT", None)
        test, lines = {"id": str(name), "failed": False, "counts": True}, set()
        if tool is None and hasattr(sys, "monitoring"):
            monitor()
        if tool is not None:
            sys.monitoring.restart_events()
        else:
            earlier = sys.gettrace(), getattr(threading, "_trace_hook", None)
            threading.settrace(on_call)
            sys.settrace(on_call)
    except Exception:
        pass
    return test is not None


def end():
    global test, lines, earlier
    try:
        if earlier is not None:
            sys.settrace(earlier[0])
            threading.settrace(earlier[1])
        if test.pop("counts"):
            test["lines"] = sorted(lines)
            tests.append(test)
    except Exception:
        pass
    test = lines = earlier = None


@atexit.register
def write():
    try:
        # A fork has a copy of what its parent knows.
        if OUT and tests and os.getpid() == PID:
            path = f"{OUT}.{PID}"
            with open(path, "w", encoding="ascii") as file:
                json.dump({"tests": tests}, file)
    except Exception:
        pass


def pytest_configure(config):
    # Not at the top: most processes that load this module never run pytest.
    import pytest

    class Plugin:
        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_protocol(self, item):
            is_first = begin(item.nodeid)
            yield
            if is_first:
                end()

        def pytest_runtest_logreport(self, report):
            # Others are of tests inside of tests, or of workers.
            if test is not None and test["id"] == report.nodeid:
                test["failed"] = test["failed"] or report.failed
                test["counts"] = test["failed"] or test["counts"] and not report.skipped

        def pytest_sessionfinish(self):
            write()

    config.pluginmanager.register(Plugin(), "lastmile_trace hooks")


def outcomes(result):
    """How many tests failed, and how many say nothing; `None` of a result that cannot be read."""
    try:
        n_failed = len(result.errors) + len(result.failures) + len(result.unexpectedSuccesses)
        return n_failed, len(result.skipped) + len(result.expectedFailures)
    except Exception:
        return None


def watch_unittest():
    """Has each test of unittest recorded."""
    if not OUT:
        return
    from unittest import TestCase

    run = TestCase.run

    def traced_run(self, result=None):
        if not begin(self.id()):
            return run(self, result)
        before, answer = (0, 0) if result is None else outcomes(result), None
        try:
            answer = run(self, result)
            return answer
        finally:
            after = outcomes(answer if result is None else result)
            is_known = before is not None and after is not None
            test["failed"] = is_known and after[0] > before[0]
            test["counts"] = test["failed"] or is_known and after[1] == before[1]
            end()

    TestCase.run = traced_run
