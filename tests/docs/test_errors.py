from __future__ import annotations

import inspect
import re

from docs import pages, programs
from notarypy import errors
from notarypy.cli import report

PAGE = pages.read("docs/errors.md")
ROWS = pages.table(PAGE, "class")


def test_the_table_is_the_tree() -> None:
    classes = [
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, errors.NotarypyError)
    ]
    real = {(each.__name__, each.code, str(each.exit_code), each.retryable) for each in classes}
    shown = {
        (pages.code(row[0]), pages.code(row[1]), row[2], {"yes": True, "no": False}[row[3]]) for row in ROWS
    }
    assert shown == real
    assert len(ROWS) == len(real)


def test_every_row_says_what_to_do() -> None:
    assert all(len(row) == 6 and row[4].endswith(".") and row[5].endswith(".") for row in ROWS)


def test_the_codes_of_the_command_line_itself_are_named() -> None:
    for error in (report.InternalError, report.InterruptedWorkError):
        assert f"`{error.code}` (exit {error.exit_code})" in PAGE


def test_the_order_of_the_worst_is_that_of_the_help() -> None:
    order = re.search(r"in the order ([\d ]+)", programs.help_of("exit-codes"))
    assert order is not None
    assert f"{', '.join(order[1].split())}." in PAGE
