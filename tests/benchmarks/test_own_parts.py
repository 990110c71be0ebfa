"""The figures in the first lines of our own parts come from a command."""

from __future__ import annotations

from benchmarks import own_parts


def test_a_run_that_goes_on_draws_what_it_would_have_drawn() -> None:
    theirs, ours = own_parts.resume()
    assert "0 of 6 samples" in theirs and "6 of 6 samples" in ours and "12 of 12" in ours


def test_charts_name_their_cases_and_take_the_colours_of_the_page() -> None:
    theirs, ours = own_parts.chart()
    assert "without the names" in theirs and theirs.endswith("fixed")
    assert "with the names" in ours and ours.endswith("of the page")
