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


def test_what_migrate_cosign_says_is_listed_with_the_code_of_each() -> None:
    codes = {pages.code(row[1]): row[2] for row in ROWS}
    rows = pages.table(pages.read("docs/migrating/cosign.md"), "it says")
    for says, exit_code, _ in rows:
        named = re.findall(r"`([a-z_]+\.[a-z_]+)`", says)
        assert {codes[name] for name in named} == {exit_code}
    refusals = {code for name, code in codes.items() if name.startswith(("trust.", "policy."))}
    assert refusals <= {row[1] for row in rows}


def test_extras_are_those_of_a_checkout_until_there_is_a_release() -> None:
    for page in pages.PAGES:
        if page.name != "installing.md":  # which says what a release changes
            found = re.search(r"pipx? install [^`\n]*'notarypy\[\w+\]'", page.read_text())
            assert found is None, (page, found)
