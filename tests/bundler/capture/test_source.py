"""What is taken out of the cells of a file, and what is not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from cells import cells, from_file, said, sections, service

from tiffin.bundler.capture.magics import plain
from tiffin.bundler.capture.source import source_of, top_levels
from tiffin.errors import BuildError, ServiceDefinitionError

NEEDED = sections(Path(__file__).with_name("needed.txt"))
"""Name to a cell, the answer of the service, and the body of its api."""


@pytest.mark.parametrize("case", NEEDED)
def test_what_the_service_needs_is_taken(case: str) -> None:
    before, answer, body = NEEDED[case]
    late = "def late():\n    return 'late'\nSKIP = 'b'"
    found = from_file(before, "1 / 0", service(body), late)
    assert said(found) == answer
    assert "1 / 0" not in found.text


def test_nothing_else_is_taken() -> None:
    found = from_file(
        "import os, json\nfrom math import pi, e\nprint('loud')\ndf = open('none.csv')\nA = 1\nB = 2",
        "def used():\n    return A\ndef unused():\n    return df\nclass Unused: pass\nused()\n"
        "while False: pass",
        service("return str(used() + pi)"),
        "assert Echo().say('x')\nbuilt = tiffin.build(Echo)",
    )
    assert said(found).startswith("4.14")
    words = set(re.findall(r"\w+", found.text))
    assert not words & {
        "os",
        "json",
        "e",
        "print",
        "df",
        "B",
        "unused",
        "Unused",
        "while",
        "assert",
        "build",
        "np",
    }
    assert found.services == ("Echo",)
    assert [cell.number for cell in found.cells] == [1, 2, 3, 4]
    assert top_levels(found.modules) == frozenset()


def test_the_last_definition_counts_and_decorators_keep_the_one_they_saw() -> None:
    found = from_file(
        "def f(): return 'old'\nMARK = 'old'\ndef deco(g):\n    m = MARK\n    return lambda: m + g()\n"
        "@deco\ndef h(): return f()",
        service("return h()"),
        "def f(): return 'new'\nMARK = 'new'\ndef deco(g): return g",
    )
    assert said(found) == "oldnew"
    assert "return 'old'" not in found.text


def test_marked_cells_are_taken_whole_and_nothing_else_is_run() -> None:
    marked = "# tiffin: service\nimport warnings\nwarnings.filterwarnings('default')\nEXTRA = W\n" + service(
        "return EXTRA"
    )
    found = from_file(
        "W = 'w'\nX = 1 / 0", marked, service("return 'other'", name="Other"), "raise SystemExit"
    )
    assert said(found) == "w"
    assert "warnings.filterwarnings" in found.text
    assert "Other" not in found.text
    assert "1 / 0" not in found.text
    tagged = [*cells("import tiffin", service("return 'a'"), service("return 'b'", name="Other"))]
    tagged[1] = type(tagged[1])(tagged[1].source, 2, "id", frozenset({"service"}))
    assert source_of(tagged).services == ("Echo",)
    magic = from_file("%%bundle service\n" + service("return 'm'"), service("return 'b'", name="Other"))
    assert said(magic) == "m"


def test_marked_cells_of_other_services_and_older_ones_stay_behind() -> None:
    mark = "# tiffin: service\n"
    old = mark + "LOUD = print('old')\n" + service("return 1 / 0")
    other = mark + "LOUDER = print('other')\n" + service("return 'b'", name="Other")
    found = from_file(old, other, mark + service("return 'new'"), name="Echo")
    assert said(found) == "new"
    assert "LOUD" not in found.text
    assert from_file(old, other).services == ("Echo", "Other")


TRAINED = sections(Path(__file__).with_name("trained.txt"))
"""Name to a cell that leaves a model `clf` behind."""


@pytest.mark.parametrize("case", TRAINED)
def test_what_is_trained_is_refused_with_the_way_out(case: str) -> None:
    with pytest.raises(BuildError) as caught:
        from_file(
            "class Forest: pass\nclass Net: pass\nX = y = W = []",
            TRAINED[case][0],
            service("return clf.predict(text)"),
        )
    words = str(caught.value)
    assert "Echo → clf" in words
    assert "tiffin.models.save('clf', clf" in words
    assert "tiffin.runner('clf:latest')" in words
    assert "cell 3" in words


@pytest.mark.parametrize("call", ["getpass.getpass()", "input('key? ')", "getpass.getpass().strip()"])
def test_what_is_typed_in_is_refused_as_that(call: str) -> None:
    with pytest.raises(
        BuildError, match=r"Echo → key: key is typed in \(cell 2: .*os\.environ\['KEY'\]"
    ) as caught:
        from_file(f"import getpass\nkey = {call}", service("return key"))
    assert "training" not in str(caught.value)


def test_a_saved_model_is_named_by_its_tag() -> None:
    saved = "clf = Forest()\ntiffin.models.save('iris', clf)"
    with pytest.raises(BuildError, match=r"saved as model 'iris'.*tiffin.runner\('iris:latest'\)"):
        from_file("class Forest: pass", saved, service("return clf.predict(text)"))
    with pytest.raises(BuildError, match=r"saved as model 'iris'"):
        from_file("clf = tiffin.models.get('iris:latest').load()", service("return clf.predict(text)"))
    found = from_file("model = tiffin.models.save('iris', object())", service("return str(model.tag)"))
    assert "model = tiffin.models.get('iris:latest')" in found.text
    assert "save" not in found.text
    assert found.latest == {"model": "iris"}


def test_data_that_is_only_looked_at_by_training_is_had_again() -> None:
    found = from_file(
        "class Data:\n    names = ['a']\n    x = 1\ndata = Data()\nPARAMS = {'n': 1}\n"
        "clf = Forest(PARAMS).fit(data.x, PARAMS)",
        "NAMES = list(data.names)",
        service("return NAMES[0] + str(PARAMS)"),
    )
    assert said(found) == "a{'n': 1}"


def test_a_name_that_is_nowhere() -> None:
    with pytest.raises(BuildError, match=r"Echo → helpr: helpr is defined in no cell; did you mean 'helper'"):
        from_file("def helper(): pass", service("return helpr()"))
    with pytest.raises(BuildError, match="cell 2 has it and is no Python"):
        from_file("def helper(: pass", service("return helper()"))
    with pytest.raises(BuildError, match="display exists only in a notebook"):
        from_file(service("display(text)"))


def test_no_service_or_another() -> None:
    with pytest.raises(ServiceDefinitionError, match=r"no class with @tiffin.service"):
        from_file("class A: pass")
    with pytest.raises(ServiceDefinitionError, match=r"no class Ech with @tiffin.service; there is Echo"):
        from_file(service("return ''"), name="Ech")
    with pytest.raises(BuildError, match="marked as service and is no Python"):
        from_file("# tiffin: service\ndef (", service("return ''"))
    with pytest.raises(BuildError, match="would save a model whenever a server starts"):
        from_file("# tiffin: service\ntiffin.models.save('x', 1)\n" + service("return ''"))
    renamed = from_file(
        "from tiffin import service as svc, api",
        "@svc(name='x')\nclass Echo:\n    @api\n    def say(self, text: str) -> str:\n        return text",
    )
    assert said(renamed) == "x"


def test_futures_stay_on_top() -> None:
    found = from_file("from __future__ import annotations", service("return text"))
    assert said(found) == "x"
    assert found.text.index("from __future__") < found.text.index("import tiffin")


def test_lines_of_the_module_lead_to_their_cells() -> None:
    found = from_file(
        "import os\n\n# about f\n@staticmethod\ndef f():\n    return 1 / 0", service("return f()")
    )
    lines = found.text.split("\n")
    line = lines.index("    return 1 / 0") + 1
    span = next(span for span in found.spans if span.first <= line <= span.last)
    assert (span.cell.number, span.cell_line + line - span.first) == (2, 6)
    assert "# about f" in lines


def test_relative_modules_are_told_apart_from_those_of_python() -> None:
    found = from_file("import os, helpers.deep, pandas as pd", service("return str((os, helpers, pd))"))
    assert top_levels(found.modules) == {"helpers", "pandas"}
    assert sys.stdlib_module_names >= {"os"}


def test_lines_of_an_old_mac_and_code_too_deep_to_compile() -> None:
    assert plain("a = 1\rb = 2") == "a = 1\nb = 2\n"
    assert plain("A = " + "-" * 100_000 + "1") is None


def test_names_that_code_makes() -> None:
    made = "exec('WORD = ' + repr('w'))"
    with pytest.raises(
        BuildError, match=r"(?s)WORD is defined in no cell.*cell 2: exec\(.*# tiffin: service"
    ):
        from_file(made, service("return WORD"))
    assert said(from_file(f"# tiffin: service\n{made}", service("return WORD"), name="Echo")) == "w"


def test_self_that_was_left_out() -> None:
    text = (
        "@tiffin.service\nclass Echo:\n    word = 'w'\n    @tiffin.api\n    def say(self) -> str: return word"
    )
    with pytest.raises(BuildError, match=r"word is defined in no cell; did you mean 'self\.word'\?"):
        from_file(text)
