"""The shipped small Mixtral: its text, its training, its card, and what its routers do."""

import hashlib
import json

import numpy as np
import pytest
import torch

from mixlab import load, tokenizer
from mixlab.common.training import TrainingConfig
from mixlab.small_mixtral import card, folder, recipe
from mixlab.small_mixtral.corpus import KINDS, documents
from mixlab.small_mixtral.sample import Sample, bits, bits_per_byte, sample
from mixlab.traces.router import trace_router, without_experts
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from tests.thorough import long

ARITHMETIC = "068cb21a431e709f2f7d121817219066a88e844ccc94fe707a68dfd514e74951"


@pytest.fixture(scope="module")
def shipped():
    return load(folder(), dtype=torch.float32)


@pytest.fixture(scope="module")
def texts():
    return sample(tokenizer(folder()))


def test_every_kind_has_text_to_train_on_and_to_hold_out():
    assert len(KINDS) == 8
    for kind in KINDS:
        train, held_out = documents(kind), documents(kind, "held_out")
        assert not set(train) & set(held_out)
        assert len(held_out) >= 32
        assert sum(map(len, train)) > 250_000
    for part in ("train", "held_out"):  # the same chapters in two languages
        assert len(documents("english_bible", part)) == len(documents("spanish_bible", part))
    with pytest.raises(ValueError, match="kind must be one of"):
        documents("latin")
    with pytest.raises(ValueError, match="'train' or 'held_out'"):
        documents("json", "test")


def test_arithmetic_is_the_same_on_every_machine_and_right():
    written = "".join(documents("arithmetic")).encode()
    assert hashlib.sha256(written).hexdigest() == ARITHMETIC
    lines = documents("arithmetic", "held_out")[0].splitlines()
    sums = [
        (question.removeprefix("Calculate ").removesuffix("."), answer)
        for question, answer in zip(lines[::2], lines[1::2], strict=True)
        if question.startswith("Calculate")
    ]
    assert sums
    assert all(eval(question) == int(answer) for question, answer in sums)


def test_the_text_is_small_and_names_its_licences():
    stored = list((folder() / "text").glob("*.json.xz"))
    assert {path.name.removesuffix(".json.xz") for path in stored} == set(KINDS) - {"arithmetic"}
    assert sum(path.stat().st_size for path in stored) < 2_000_000
    note = (folder() / "text/README.md").read_text()
    assert all(f"`{path.name.removesuffix('.json.xz')}`" in note for path in stored)


def test_the_tokenizer_is_what_its_recipe_makes():
    texts = [text for kind in KINDS for text in documents(kind)]
    again = json.loads(recipe.train_tokenizer(texts).to_str())
    assert again == json.loads((folder() / "tokenizer.json").read_text())


def test_the_shipped_model_is_what_its_card_says(shipped, texts):
    assert shipped.config == recipe.CONFIG
    assert (folder() / "model.safetensors").stat().st_size < 6_000_000
    numbers = card.read_numbers()
    assert card.render(numbers) == (folder() / "README.md").read_text()
    claimed = numbers["runs"][0]
    costs = bits_per_byte(bits(shipped, texts), texts)
    assert costs == pytest.approx(claimed["bits_per_byte"], abs=0.005)
    assert min(claimed["least_used"]) > 0.05  # no expert is dead
    assert card.compare(claimed, numbers["runs"])[1]
    worse = claimed | {"bits_per_byte": dict.fromkeys(KINDS, 2.5)}
    assert not card.compare(worse, numbers["runs"])[1]
    dead = claimed | {"least_used": [0.0] * 6}
    assert not card.compare(dead, numbers["runs"])[1]


@long
def test_a_training_that_was_cut_short_goes_on_to_the_same_end(tmp_path, monkeypatch):
    tiny = TransformerConfig.tiny(vocab_size=2048, n_experts=8, experts_per_token=2)
    monkeypatch.setattr(recipe, "CONFIG", tiny)
    training = TrainingConfig(steps=4, warmup=1)
    whole = recipe.fit(tmp_path / "whole", training=training, progress=False)
    batches, given = recipe.batches, []

    def stops(*arguments):
        for batch in batches(*arguments):
            if len(given) == 2:
                raise KeyboardInterrupt
            given.append(batch)
            yield batch

    saves = recipe.train
    monkeypatch.setattr(recipe, "batches", stops)
    monkeypatch.setattr(recipe, "train", lambda *a, **k: saves(*a, **k, checkpoint_every=1))
    with pytest.raises(KeyboardInterrupt):
        recipe.fit(tmp_path / "cut", training=training, progress=False)
    monkeypatch.setattr(recipe, "batches", batches)
    assert recipe.fit(tmp_path / "cut", training=training, progress=False) == whole
    one, other = (load(tmp_path / name).state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_batch_holds_one_stretch_of_every_kind():
    kinds = [torch.full((300,), number) for number in range(8)]
    batch = next(recipe.batches(kinds, torch.Generator().manual_seed(0)))
    assert batch.tolist() == [[number] * recipe.SEQ for number in range(8)]


def test_a_sample_holds_equal_texts_of_every_kind(texts):
    assert texts.tokens.shape == (256, 256)
    assert (texts.tokens[:, 0] == 0).all()
    assert (texts.n_bytes[:, 0] == 0).all()
    decode = tokenizer(folder()).decode
    first = documents("json", "held_out")[0]
    row = int(np.flatnonzero(texts.kind == list(KINDS).index("json"))[0])
    assert first.startswith(decode(texts.tokens[row].tolist()))
    assert texts.n_bytes[row].sum() == len(decode(texts.tokens[row].tolist()).encode())
    few = texts.first(3)
    assert np.bincount(few.kind).tolist() == [3] * 8
    assert torch.equal(few.tokens[3], texts.tokens[32])
    with pytest.raises(ValueError, match="each kind has 32 texts"):
        texts.first(33)
    with pytest.raises(ValueError, match="held-out documents of 256"):
        sample(tokenizer(folder()), each=40)


def test_bits_are_the_losses(shipped, texts):
    few: Sample = texts.first(1)
    costs = bits(shipped, few)
    loss = recipe.next_token_loss(shipped(few.tokens), few.tokens)
    assert costs[:, 0].max() == 0
    assert costs[:, 1:].mean() * np.log(2) == pytest.approx(loss.item(), rel=1e-4)


def test_removed_experts_are_never_chosen_and_gates_still_add_up(shipped, texts):
    tokens = texts.first(1).tokens
    gone = {0: [1, 2], 5: range(6)}
    before = trace_router(shipped, tokens)
    with without_experts(shipped, gone):
        traced = trace_router(shipped, tokens)
    for layer, experts in gone.items():
        assert not np.isin(traced.chosen[layer], list(experts)).any()
    assert np.allclose(traced.gates.sum(-1), 1)
    assert set(traced.chosen[5].ravel()) == {6, 7}
    # A token that used none of the missing experts in layer 0 is routed there as before.
    spared = ~np.isin(before.chosen[0], gone[0]).any(-1)
    assert (traced.chosen[0][spared] == before.chosen[0][spared]).all()
    assert np.array_equal(trace_router(shipped, tokens).chosen, before.chosen)  # hooks are gone


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ({6: [0]}, "layers 0 to 5"),
        ({0: [8]}, "numbered 0 to 7"),
        ({0: range(7)}, "each token needs 2 experts"),
    ],
)
def test_impossible_removals_are_refused(shipped, gone, says):
    with pytest.raises(ValueError, match=says), without_experts(shipped, gone):
        pass
    with (
        pytest.raises(ValueError, match="no experts to remove"),
        without_experts(Transformer(TransformerConfig.tiny()), {0: [0]}),
    ):
        pass
