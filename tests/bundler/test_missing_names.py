"""Names that functions read and nothing defines."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from cells import notebook, service
from projects import SERVICE, write

import tiffin
from tiffin.bundler.missing_names import missing_names, refuse_missing_names, set_on_modules
from tiffin.bundler.words import NOTES
from tiffin.errors import BuildError


def imported(text: str) -> ModuleType:
    module = ModuleType("module_of_test")
    exec(compile(text, "m.py", "exec"), vars(module))
    return module


def lost(text: str) -> list[str]:
    return [str(each).removeprefix("m.py:") for each in missing_names(text, "m.py", imported(text))]


WRONG = {
    "a function": ("def f():\n    return gone", "2: f reads gone, which nothing defines"),
    "a method, and a near name": (
        "def helper(): pass\nclass A:\n    def f(self):\n        return helpr()",
        "4: A.f reads helpr, which nothing defines; did you mean 'helper'?",
    ),
    "a near name of the function's own": (
        "isclose = 1\ndef f(classes):\n    return [clases for _ in classes]",
        "3: f reads clases, which nothing defines; did you mean 'classes'?",
    ),
    "self left out": (
        "class A:\n    forest = 1\n    def f(self):\n        return forest",
        "4: A.f reads forest, which nothing defines; did you mean 'self.forest'?",
    ),
    "a comprehension": (
        "def f(xs):\n    return [x for x in xs if gone(x)]",
        "2: f reads gone, which nothing defines",
    ),
    "a generator": (
        "def f(xs):\n    yield from (gone for x in xs)",
        "2: f reads gone, which nothing defines",
    ),
    "a lambda": ("f = lambda: gone", "1: a lambda reads gone, which nothing defines"),
    "a class of a function": (
        "def f():\n    class B:\n        a = 1\n        b = a + gone\n    return B",
        "4: f.B reads gone, which nothing defines",
    ),
    "a name of a class, read in its method": (
        "class A:\n    size = 1\n    pass\n    class B:\n        def g(self): return size",
        "5: A.B.g reads size, which nothing defines; did you mean 'self.size'?",
    ),
    "deleted": ("a = 1\ndel a\ndef f(): return a", "3: f reads a, which nothing defines"),
    "of the variable of a comprehension": (
        "a = [n for n in range(3)]\ndef f(): return n",
        "2: f reads n, which nothing defines",
    ),
    "of another scope": (
        "def f():\n    a = 1\n    return a\ndef g(): return a",
        "4: g reads a, which nothing defines",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_missing_is_found(case: str) -> None:
    text, words = WRONG[case]
    assert lost(text) == [words]


RIGHT = {
    "bound by global": "def f():\n    global a\n    a = 1\ndef g(): return a",
    "imported by global": "def f():\n    global json\n    import json\ndef g(): return json",
    "bound later": "def g(): return a\na = 1",
    "a condition": "if len('a') == 1:\n    def h(): pass\ndef g(): return h()",
    "a star": "from math import *\ndef g(): return sin(1)",
    "exec at the top": "exec('made = 1')\ndef g(): return made",
    "globals at the top": "globals()['made'] = 1\ndef g(): return made",
    "of the module itself": "def g(): return __name__, __file__, __doc__, __builtins__",
    "builtins": "def g(): return print, len, Exception, NotImplemented, __import__",
    "scopes": "def g(a):\n    b = 1\n    def h(): return [a + b + c for c in range(3)]\n    return h()",
    "a class": "class A:\n    x = 1\n    y = [x, 1]\n    def f(self): return __class__",
    "super": "class A:\n    def f(self): return super().f()",
    "an error's name": "def f():\n    try:\n        return 1\n    except KeyError as e:\n        return e",
    "a walrus": "def f():\n    return [y for x in 'a' if (y := x)], y",
    "annotations for people": (
        "from __future__ import annotations\ndef f(x: Gone) -> Gone:\n    y: Gone = x\n    return y"
    ),
    "asked for": "def f():\n    try:\n        return gone\n    except NameError:\n        return 1",
    "asked for among others": (
        "def f():\n    try:\n        return gone\n    except (KeyError, NameError):\n        return 1"
    ),
    "an import that may fail": (
        "try:\n    import nowhere_at_all as regex\nexcept ImportError:\n    has = False\n"
        "def f():\n    return regex"
    ),
    "a way that was not taken": "import os\nif os.sep == '?':\n    import m\ndef g(): return m",
    "asked for, then read": (
        "def f():\n    try:\n        shell\n    except NameError:\n        return 1\n    return shell"
    ),
    "another Python": "import sys\ndef f(x):\n    return unicode(x) if sys.version_info < (3,) else str(x)",
    "another system": "import os\ndef f():\n    if os.name == 'nt':\n        return WindowsOnly",
}
NEWER = {
    "parameters": "class Box[T: Later]:\n    def f[Q](self, x: Q) -> T: return x",
    "an alias": "type A = Later",
}


@pytest.mark.parametrize("case", RIGHT)
def test_nothing_else_is(case: str) -> None:
    assert lost(RIGHT[case]) == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of Python 3.12")
@pytest.mark.parametrize("case", NEWER)
def test_types_are_looked_up_when_they_are_asked_for(case: str) -> None:
    assert lost(NEWER[case]) == []


@pytest.mark.parametrize(
    "text",
    [
        "def make(): exec('made = 1', globals())\ndef f(): return made",
        "def make(): globals()['made'] = 1\ndef f(): return made",
        "import sys\ndef make(): setattr(sys.modules[__name__], 'made', 1)\ndef f(): return made",
        "def f():\n    try:\n        return made\n    except Exception:\n        return 1",
        "made = 1\ndef f(): return made\nx = f()\ndel f, made",
    ],
)
def test_what_may_be_right_is_a_note(text: str) -> None:
    (found,) = missing_names(text, "m.py", imported(text))
    assert not found.sure
    (note,) = refuse_missing_names([found], ["m:A"])
    assert "f reads made, which nothing defines" in note
    assert note.endswith("(NameError, should it run)")


def test_only_what_requests_run_is_refused() -> None:
    text = "def f(): return gone"
    (found,) = missing_names(text, "pkg/__init__.py", imported(text))
    assert refuse_missing_names([found], ["service:A"])
    with pytest.raises(BuildError, match=r"(?s)pkg/__init__.py:1: f reads gone.*NameError"):
        refuse_missing_names([found], ["service:A", "pkg:B"])


def test_what_another_module_sets() -> None:
    text = "import json\nMODEL = 1\ndef f():\n    json.MODEL = 2\n    MODEL.x = 3"
    assert list(set_on_modules(text, imported(text))) == [("json", "MODEL")]
    text = "def f(): return MODEL"
    assert missing_names(text, "m.py", imported(text), {"MODEL"}) == []


def test_gettext_may_be_installed_later() -> None:
    text = "def f(): return _('a')"
    (found,) = missing_names(text, "m.py", imported(text))
    assert not found.sure


def test_what_is_no_python() -> None:
    assert missing_names("def (", "m.py", ModuleType("m")) == []
    assert list(set_on_modules("def (", ModuleType("m"))) == []


def test_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    folder = write(
        tmp_path / "project",
        {
            "service.py": SERVICE.replace("import tiffin", "import tiffin\nimport helpers", 1).replace(
                "return text * times", "return text * tmes"
            ),
            "helpers.py": "def old(): return unicode('a')\ndef f(): return SET, EVERYWHERE\n",
            "other.py": "import builtins, helpers\n"
            "def start():\n    helpers.SET = 1\n    builtins.EVERYWHERE = 2\n",
        },
    )
    with pytest.raises(BuildError, match=r"service\.py:\d+: Echo\.say reads tmes, which nothing defines"):
        tiffin.build(folder, lock=False)
    text = (folder / "service.py").read_text().replace("tmes", "times")
    (folder / "service.py").write_text(text.replace("import helpers", "import helpers, other"))
    made = tiffin.build(folder, lock=False)
    (note,) = made.info.options[NOTES]
    assert note.startswith("helpers.py:1: old reads unicode, which nothing defines")


def test_names_of_a_star_are_asked_for_when_the_module_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    path = notebook(
        tmp_path / "n.ipynb",
        "from math import *\nimport tiffin",
        service("n = sin(1)\nreturn str(n * sine(2))"),
    )
    with pytest.raises(
        BuildError, match=r"service\.py:\d+ \(cell 2, line 6\): Echo\.say reads sine.*did you mean 'sin'"
    ):
        tiffin.build(path, lock=False)
