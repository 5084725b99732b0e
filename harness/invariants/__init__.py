"""Promises, one a file, as pure generators of violations. They judge every run, whatever engine made it.

Each cause is reported once, by the promise that names it best, so that a report teaches one thing at a time: a payment that
is lost is not also reported as an untruth told about it. Where a promise leaves something to another, its file says so.
"""
