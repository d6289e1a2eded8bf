"""Tables as a spreadsheet opens them."""

import csv
import io

from runtime.csv_text import csv_of


def test_any_value_comes_back() -> None:
    line = {"a": 'quote " and, comma\nand a line', "b": None, "c": 0.5}
    data = csv_of(["a", "b", "c"], [line, {"a": "\udcff", "b": True, "c": 0}])
    assert data.startswith(b"a,b,c\r\n")
    one, other = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
    assert one == {"a": line["a"], "b": "", "c": "0.5"}
    assert other == {"a": "\\udcff", "b": "True", "c": "0"}


def test_no_lines_are_a_header() -> None:
    assert csv_of(["a", "b"], []) == b"a,b\r\n"
