# Runs one test module of CPython case by case and reports each on its own line, which no output of
# a test can be mistaken for: it begins with the record separator, U+001E.
#
#   python-cases.py MODULE FILE     FILE: identifiers of cases to leave out, one per line
#
# {"start": id}, {"id": id, "result": …, "detail": …}, and {"done": count} at the end. A case that
# hangs or kills the interpreter has a start and no result.

import fcntl
import json
import os
import sys
import tempfile
import unittest

module, skip_file = sys.argv[1:3]
del sys.argv[1:]

# Tests close and replace the low descriptors.
report_fd = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 100)
main_pid = os.getpid()


def report(**fields):
    # A child that a test forks and that comes back here is not the one to report.
    if os.getpid() == main_pid:
        os.write(report_fd, b"\x1e" + json.dumps(fields).encode() + b"\n")


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def note(self, test, result, detail=""):
        # The first failing subtest says what the case is.
        self.outcomes.setdefault(test.id(), (result, detail[-3000:]))

    def startTest(self, test):
        report(start=test.id())
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        result, detail = self.outcomes.pop(test.id(), ("ok", ""))
        report(id=test.id(), result=result, detail=detail)

    def text(self, error, test):
        return self._exc_info_to_string(error, test)

    def addError(self, test, error):
        self.note(test, "error", self.text(error, test))
        if not isinstance(test, unittest.TestCase):  # setUpClass, setUpModule
            self.stopTest(test)

    def addFailure(self, test, error):
        self.note(test, "fail", self.text(error, test))

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.note(test, "fail", f"{subtest.id()}\n{self.text(error, test)}")

    def addSkip(self, test, reason):
        if not isinstance(test, unittest.TestCase):
            self.note(test, "skip", reason)
            self.stopTest(test)
        elif test.id() not in self.outcomes:
            self.note(test, "skip", reason)

    def addExpectedFailure(self, test, error):
        self.note(test, "expected failure")

    def addUnexpectedSuccess(self, test):
        self.note(test, "unexpected success")


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main():
    from test import support
    # What takes minutes, gigabytes or the internet is left out, on both sides.
    support.use_resources = ["subprocess", "cpu"]
    with open(skip_file) as file:
        skipped = set(file.read().split("\n"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            suite = unittest.defaultTestLoader.loadTestsFromName(f"test.{module}")
            cases = list(flatten(suite))
        except unittest.SkipTest as reason:
            report(id=module, result="skip", detail=str(reason))
            cases = []
        wanted = [case for case in cases if case.id() not in skipped]
        unittest.TestSuite(wanted).run(Result())
        report(done=len(cases))
        os.chdir("/")


main()
sys.stdout.flush()
# Threads that a test left behind must not keep the process.
os._exit(0)
