from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from framework_rounds import refuses_damage, served, together

from tiffin.bundler import models
from tiffin.errors import InvalidInputError, ModelError

spacy = pytest.importorskip("spacy")

TEXTS = ["A good day in Bern. Bye.", "Bad weather.", "", "Ulm and Bern are good."]


@pytest.fixture(autouse=True)
def no_pickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIFFIN_ALLOW_PICKLE", "0")


def pipeline(*more: str) -> Any:
    """Sentences, cities and a small trained classifier."""
    from spacy.training import Example

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    texts = nlp.add_pipe("textcat")
    for label in ("good", "bad"):
        texts.add_label(label)
    for name in more:
        nlp.add_pipe(name)
    examples = [
        Example.from_dict(
            nlp.make_doc(f"a {word} day"), {"cats": {"good": word == "good", "bad": word == "bad"}}
        )
        for word in ("good", "bad")
    ]
    nlp.initialize(lambda: examples)
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "CITY", "pattern": name} for name in ("Bern", "Ulm")])
    return nlp


def test_texts_in_and_documents_out(tmp_path: Path) -> None:
    nlp = pipeline()
    model = models.save("cities", nlp)
    assert (model.info.framework, model.info.pickled) == ("spacy", False)
    spec = model.info.methods["predict"]
    assert spec.batch
    assert spec.inputs["texts"].json_schema == {"type": "array", "items": {"type": "string"}}
    one, rest = together(model, "predict", TEXTS[:1], TEXTS[1:], folder=tmp_path)
    found = [*one, *rest]
    assert [len(part) for part in (one, rest)] == [1, 3]
    docs = list(nlp.pipe(TEXTS))
    assert found[0]["entities"] == [{"text": "Bern", "label": "CITY", "start": 14, "end": 18}]
    assert found[0]["sentences"] == [{"start": 0, "end": 19}, {"start": 20, "end": 24}]
    assert found[2] == {"entities": [], "categories": found[2]["categories"], "sentences": [], "tokens": []}
    for answer, doc in zip(found, docs, strict=True):
        assert answer["categories"] == pytest.approx(doc.cats)
        assert [token["text"] for token in answer["tokens"]] == [token.text for token in doc]
    refuses_damage(model)


def test_what_is_left_out_and_what_is_wrong() -> None:
    loaded = models.save("cities", pipeline()).load()
    call = models.get("cities").framework.call
    assert "categories" not in call(loaded, "predict", ["good"], disable=["textcat"])[0]
    for wrong in ("one text", [1], [["nested"]]):
        with pytest.raises(InvalidInputError, match="takes a list of texts"):
            call(loaded, "predict", wrong)


def test_words_of_tokens_when_they_are_set() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("attribute_ruler").add([[{"LOWER": "cats"}]], {"POS": "NOUN", "LEMMA": "cat"})
    model = models.save("words", nlp, example=["cats"])
    token = model.framework.call(model.load(), "predict", ["cats"])[0]["tokens"][0]
    assert token == {"text": "cats", "start": 0, "end": 4, "lemma": "cat", "pos": "NOUN"}


def test_a_folder_is_copied(tmp_path: Path) -> None:
    nlp = pipeline()
    nlp.to_disk(tmp_path / "own")
    model = models.save("cities", tmp_path / "own", framework="spacy")
    for file in model.info.files:
        copied = tmp_path / "own" / Path(file.path).relative_to("pipeline")
        assert (model.path / file.path).read_bytes() == copied.read_bytes()
    answer = model.framework.call(model.load(device="cpu"), "predict", TEXTS[:1])[0]
    assert answer["entities"][0]["text"] == "Bern"
    with pytest.raises(ModelError, match=r"has no config\.cfg"):
        models.save("cities", tmp_path / "nothing", framework="spacy")


def test_components_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    from fresh_process import run_fresh

    (tmp_path / "shouting.py").write_text(
        "from spacy.language import Language\n"
        "@Language.component('shout')\n"
        "def shout(doc):\n    doc.cats['loud'] = float(doc.text.isupper())\n    return doc\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelError, match=r"options imports=\['not_there'\]"):
        models.save("loud", spacy.blank("en"), options={"imports": ["not_there"]})
    import shouting  # type: ignore[import-not-found]  # noqa: F401 - registers the component

    nlp = spacy.blank("en")
    nlp.add_pipe("shout")
    models.save("loud", nlp, options={"imports": ["shouting"]})
    models.save("mute", nlp)
    call = (
        "m = tiffin.models.get({!r}); print(m.framework.call(m.load(), 'predict', ['HEY'])[0]['categories'])"
    )
    assert run_fresh("import tiffin; " + call.format("loud"), tmp_path) == "{'loud': 1.0}"
    told = (
        "import tiffin, tiffin.errors\n"
        "try: tiffin.models.get('mute').load()\n"
        "except tiffin.errors.ModelError as e: print(e)"
    )
    assert "options={'imports': ['my_components']}" in run_fresh(told, tmp_path)


SERVICE = """
from typing import Any

import tiffin


@tiffin.service
class Cities:
    cities = tiffin.runner("cities:latest")

    @tiffin.api
    async def find(self, texts: list[str]) -> list[dict[str, Any]]:
        return await self.cities.predict(texts)
"""


def test_served_from_a_bundle(tmp_path: Path) -> None:
    models.save("cities", pipeline())
    with served(tmp_path, SERVICE) as server:
        answer = httpx.post(f"{server.base_url}/find", json={"texts": TEXTS}, timeout=30).json()
        assert [[entity["text"] for entity in one["entities"]] for one in answer] == [
            ["Bern"],
            [],
            [],
            ["Ulm", "Bern"],
        ]
