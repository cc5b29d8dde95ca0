"""Markdown: tables as GitHub reads them, and text that cannot leave its place."""

import pytest

from modeling_retainmix import markdown


def test_table_has_a_rule_that_aligns_its_columns_and_keeps_cells_as_they_are():
    made = markdown.table(["System", "SNR"], [["log-mel", "-10"], ["1.50", ""]], align="lr")
    assert made.splitlines() == ["| System | SNR |", "|---|---:|", "| log-mel | -10 |", "| 1.50 | |"]


def test_table_without_rows_has_its_header():
    assert markdown.table(["", ""], [], align="ll") == "| | |\n|---|---|"


@pytest.mark.parametrize(("rows", "align"), [([["a"]], "ll"), ([["a", "b"]], "l")])
def test_when_a_row_is_short_then_error_says_so(rows, align):
    with pytest.raises(ValueError, match="the header has 2 columns"):
        markdown.table(["a", "b"], rows, align)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b\nc", r"a\|b c"),
        (r"a\|b", r"a\\\|b"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("<!-- x", "&lt;!-- x"),
        ("<= 54, a < b & c", "<= 54, a < b & c"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("![](http://a.test)", r"![]\(http://a.test)"),
        ("`rm`", r"\`rm\`"),
        ("[0.0] {-10, 0} air_compressor", "[0.0] {-10, 0} air_compressor"),
        ("a\r\n\r\n# b\u2028c", "a # b c"),
    ],
)
def test_escaped_text_is_one_line_in_which_nothing_is_markup(text, escaped):
    assert markdown.escape(text) == escaped


@pytest.mark.parametrize(("text", "span"), [("a", "`a`"), ("a`b", "`` a`b ``"), ("```\nb", "```` ``` b ````")])
def test_code_span_is_longer_than_the_backticks_in_it(text, span):
    assert markdown.code_span(text) == span


def test_fence_of_a_block_is_longer_than_the_backticks_in_it():
    assert markdown.code_block("a\nb", "bash") == "```bash\na\nb\n```"
    assert markdown.code_block("a\n````\nb") == "`````\na\n````\nb\n`````"
