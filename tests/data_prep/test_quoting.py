"""Paths in printed command lines: what is pasted is the path, and no option."""

from __future__ import annotations

import ast
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from data_prep.options import as_typed
from data_prep.quoting import quoted
from data_prep.summary import next_line
from monai_hybrid.look_first import not_prepared
from monai_hybrid.next_steps import after_adapt, after_evaluate, after_predict, after_pretrain, after_suggest

ROOT = Path(__file__).parents[2]
# What is quoted and is no path.
WORDS = {"words", "words or ''", "str(words)", "series", "expression", "self._expression.pattern", "text", "str(value)"}


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("-scans", "./-scans"),
        (Path("./-my scans"), "'./-my scans'"),
        ("--output", "./--output"),
        ("scans", "scans"),
        ("/data/-scans", "/data/-scans"),
        ("./scans", "./scans"),
        ("it's", "'it'\"'\"'s'"),
        ("Müller", "'Müller'"),
        ("-two\nlines", r""" "$(printf './-two\012lines')" """.strip()),
        ("it's \\ 5% $(id)!\u202e", r""" "$(printf 'it\047s \134 5\045 $(id)\041\342\200\256')" """.strip()),
        ("ends\n", r"$'ends\012'"),
    ],
)
def test_a_path_is_typed_as_a_path(path: str | Path, word: str) -> None:
    assert quoted(path) == word


@pytest.mark.parametrize("name", ["two\nlines", "it's \\ 5% `id` $(id)! \u202e", "a\tb\\012", "-n\x07", "\u202e'\"!"])
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_every_shell_reads_the_path(name: str, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run([shell, "-c", f"printf %s {quoted(name)}"], capture_output=True, check=True)
    assert done.stdout.decode() == ("./" * name.startswith("-") + name)


def test_no_other_place_quotes_a_path() -> None:
    found = []
    for file in (file for package in ("data_prep", "monai_hybrid") for file in (ROOT / package).rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if "shlex" not in source or file.name == "quoting.py":
            continue
        tree = list(ast.walk(ast.parse(source)))
        calls = [node for node in tree if isinstance(node, ast.Call) and ast.unparse(node.func) == "shlex.quote"]
        uses = sum(isinstance(node, ast.Attribute) and ast.unparse(node) == "shlex.quote" for node in tree)
        plain = sum(ast.unparse(call.args[0]) in WORDS for call in calls)
        if uses > plain or "from shlex" in source:
            found.append(str(file.relative_to(ROOT)))
    assert not found, f"a path is quoted by data_prep.quoting: {found}"


def test_next_lines_keep_a_name_that_begins_with_a_hyphen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("./-scans").mkdir()
    lines = [after_pretrain("-house"), after_adapt("-house", "-scans"), after_evaluate("-house"), after_predict("-house")]
    lines += [after_suggest("-scans", "-house"), next_line(Path("./-scans"), []).removeprefix("Next: ")]
    lines += [str(not_prepared(Path("-scans"))).partition("Type: ")[2]]
    for line in lines:
        words = shlex.split(line)
        named = [word for word in words if "-scans" in word or "-house" in word]
        assert named and all(word.startswith("./-") for word in named), line


def test_an_option_that_is_told_again_keeps_its_hyphen() -> None:
    assert as_typed({"splits": Path("-s.json"), "series": "-3", "grey": True}) == " --splits ./-s.json --series -3 --grey"
