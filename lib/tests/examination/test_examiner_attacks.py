"""Whoever takes what they were handed apart, or talks to the examiner themselves, gains nothing."""

import gc
import pickle
from contextlib import suppress
from functools import cache, partial
from multiprocessing import Pipe

import msgpack
import pytest
import torch

from mixlab.checks.messages import Unreadable
from mixlab.examination.candidate import Candidate
from mixlab.examination.channel import Channel
from mixlab.examination.wire import LARGEST, BadMessage, Gone, Reader, Writer, send
from tests.examination.examined import examined as examined_well
from tests.examination.examined import right

examined = partial(examined_well, may_fail=True)


def _insides(value, depth=6):
    """Everything that can be reached from a value by looking into it."""
    found, wanted = {}, [value]
    for _ in range(depth):
        # A frame or a module would lead to this test, and all that it holds.
        wanted = [
            inner
            for inner in gc.get_referents(*wanted)
            if id(inner) not in found and type(inner).__name__ not in ("frame", "module", "type")
        ]
        found |= {id(inner): inner for inner in wanted}
    return list(found.values())


def _words(value) -> str:
    return " ".join(one for one in _insides(value) if isinstance(one, str))


# --- 07.2: experts that refuse to be called twice ------------------------------------------


def every_expert_on_every_token(x, chosen, gates, experts, capacity):
    out = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        try:
            made = expert(x)  # too many: refused, and the refusal is swallowed
        except Exception:
            token, rank = (part[:capacity] for part in torch.where(chosen == e))
            if len(token):
                out[token] += gates[token, rank, None] * expert(x[token])
            continue
        token, rank = (part[:capacity] for part in torch.where(chosen == e))
        out[token] += gates[token, rank, None] * made[token]
    return out


def one_token_a_call(x, chosen, gates, experts, capacity):
    out, served = torch.zeros_like(x), [0] * len(experts)
    for t, row in enumerate(chosen.tolist()):
        for rank, e in enumerate(row):
            if served[e] < capacity:
                served[e] += 1
                for inner in _insides(experts[e]):
                    if isinstance(inner, list) and inner and all(type(n) is int for n in inner):
                        inner[:] = [0] * len(inner)
                out[t] += gates[t, rank] * experts[e](x[t][None])[0]
    return out


def rewrites_who_chose_whom(x, chosen, gates, experts, capacity):
    asked = chosen.clone()
    out = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        chosen[:] = e
        token, rank = (part[:capacity] for part in torch.where(asked == e))
        if len(token):
            made = expert(x if len(x) <= capacity else x[token])
            out[token] += gates[token, rank, None] * (made[token] if len(made) == len(x) else made)
    return out


def learns_the_experts_weights(x, chosen, gates, experts, capacity):
    up, down = (one for one in _insides(experts[0]) if torch.is_tensor(one) and one.dim() == 3)
    return right("07.2")(
        x, chosen, gates, [lambda r, e=e: (r @ up[e].T) @ down[e].T for e in range(9)], capacity
    )


# --- 17.2 and 17.3: joins that are counted -------------------------------------------------


def joins_in_a_loop_and_denies_it(operator, items):
    out = items[:1]
    for item in items[1:]:
        out.append(operator(out[-1], item))
    for inner in _insides(operator):
        if hasattr(inner, "work"):
            inner.work = 0
            inner._known = {key: (*one[:2], 0) for key, one in inner._known.items()}
    return out


def makes_items_of_its_own(operator, items):
    kind, texts = type(items[0]), [repr(item).strip("‹›") for item in items]
    made = [object.__new__(kind) for _ in items]
    for number, one in enumerate(made):
        one._text = "".join(texts[: number + 1])
    return made


def renumbers_an_item(operator, items):
    """Takes numbers at random for items that it has not made."""
    out = items[:1]
    for number, item in enumerate(items[1:], 1):
        joined = operator(out[0], item)
        joined._number = number
        out.append(joined)
    return out


# --- suspects ------------------------------------------------------------------------------


def looks_for_the_right_words(suspect):
    return any(word in _words(suspect) for word in ("right", "position", "blocks", "diagonal"))


def looks_for_numbers(suspect):
    rows = [one for one in _insides(suspect) if isinstance(one, tuple) and len(one) == 6]
    return bool(rows) and rows[0] in ((1, 0, 0, 1, 0, 0), (2, 0, 0, 2, 1, 0), (1, 1, 0, 0, 1, 0))


def goes_by_its_number(suspect):
    return suspect._number < 4


def goes_by_its_address(suspect):
    return id(suspect) % 64 < 32


def goes_by_its_looks(suspect):
    return hash(repr(suspect)) % 2 == 0


TRICKS = [
    *(("07.2", trick) for trick in (every_expert_on_every_token, one_token_a_call)),
    ("07.2", rewrites_who_chose_whom),
    ("07.2", learns_the_experts_weights),
    *(
        (exercise, trick)
        for exercise in ("17.2", "17.3")
        for trick in (joins_in_a_loop_and_denies_it, makes_items_of_its_own, renumbers_an_item)
    ),
    *(
        (exercise, trick)
        for exercise in ("02.5", "04.6", "06.6", "17.4", "19.6")
        for trick in (
            looks_for_the_right_words,
            looks_for_numbers,
            goes_by_its_number,
            goes_by_its_address,
            goes_by_its_looks,
        )
    ),
]


@cache
def _right_line(exercise: str, seed: int) -> str:
    with examined(exercise, seed) as candidate:
        return candidate.request("examine", exercise, right(exercise))


@pytest.mark.parametrize(("exercise", "trick"), TRICKS)
def test_nothing_is_won_by_looking_into_what_is_handed_out(exercise, trick):
    seed = 1
    try:
        with examined(exercise, seed) as candidate:
            line = candidate.request("examine", exercise, trick)
    except Exception:
        return
    assert line != _right_line(exercise, seed)


# --- the examiner itself -------------------------------------------------------------------


def _examine(candidate: Candidate, answer, exercise="17.2"):
    return candidate.request("examine", exercise, answer)


def test_a_swallowed_refusal_still_counts():
    with examined("07.2", 1) as candidate, pytest.raises(Unreadable, match="a second time"):
        _examine(candidate, every_expert_on_every_token, "07.2")


def test_nobody_is_examined_twice():
    with examined("17.2", 1) as candidate:
        assert _examine(candidate, right("17.2")).startswith("17.2 ✓ ")
        with pytest.raises(Unreadable, match="once"):
            _examine(candidate, right("17.2"))


def test_nobody_is_examined_in_something_else():
    with examined("17.2", 1) as candidate, pytest.raises(Unreadable, match=r"17\.2 is examined"):
        _examine(candidate, right("17.3"), "17.3")


@pytest.mark.parametrize("name", ["_seed", "__globals__", "__closure__", "__self__", "work"])
def test_the_examiner_tells_nothing_of_what_it_lends(name):
    def answer(operator, items):
        return candidate.request("attribute", operator, name)

    with examined("17.2", 1) as candidate, pytest.raises(Gone):
        _examine(candidate, answer)


@pytest.mark.parametrize(
    "request_",
    [
        ("call", 99, (), {}, "", []),
        ("call", -1, (), {}, "program", []),
        ("call", 0, (), {}, "no such measure", []),
        ("call", 0, (1, 2), {}, "vvvvjjjj", []),
        ("call", "0", (), {}, "", []),
        ("call", 0),
        ("value", 1, [], []),
        ("raised", "yours", 7, [], ""),
        ("examine", "17.2", None),
        ("exec", "import os"),
        (),
    ],
)
def test_a_request_that_makes_no_sense_wins_nothing(request_):
    def answer(operator, items):
        return candidate.request(*request_) if request_ else candidate.request(["call"])

    refusals = (BadMessage, Gone, Unreadable, LookupError, TypeError, ValueError)
    with examined("17.2", 1) as candidate, pytest.raises(refusals):
        _examine(candidate, answer)


def _with(form: str, *parts) -> bytes:
    """A message that holds a form with these parts."""
    return msgpack.packb(["examine", "17.2", [msgpack.ExtType(0, form.encode()), *parts]])


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00",
        b"\xff" * 40,
        pickle.dumps(("examine", "17.2")),
        b"\x91" * 100_000,
        b"\xdd\x7f\xff\xff\xff" * 20_000,
        msgpack.packb(["examine", "17.2"])[:-1],
        msgpack.packb(["examine", "17.2"]) * 2,
        msgpack.packb(["examine", {b"x": msgpack.ExtType(0, b"list")}]),
        msgpack.packb([[], 0]),
        msgpack.packb(17),
        msgpack.packb(msgpack.ExtType(0, b"object")),
        _with("range", 0, 1e9, 1),
        _with("array", "<f8", [9999999999], bytes(8)),
        _with("array", "<f8", [2], bytes(8)),
        _with("array", "O", [1], bytes(8)),
        _with("tensor", "float32", [-1, -1], False, bytes(4)),
        _with("tensor", "float32", [9], False, b""),
        _with("tensor", "os", [1], False, bytes(4)),
        _with("fraction", 1, 0),
        _with("object", "yours", 0),
        _with("object", "mine", 0, "module", "os", ""),
        _with("module", "os"),
        _with("list"),
    ],
    ids=lambda message: repr(message[:40]),
)
def test_bytes_that_are_no_message_end_the_examination(message):
    with examined("17.2", 1) as candidate:
        candidate._connection.send_bytes(message)
        with pytest.raises((Gone, Unreadable, TypeError, BadMessage)):
            _examine(candidate, right("17.2"))


def test_too_large_a_message_is_not_sent_and_not_read():
    with examined("17.2", 1) as candidate:
        with pytest.raises(Exception, match="64 MB"):
            send(candidate._connection, bytes(LARGEST + 1))
        with suppress(OSError):  # it may hang up before all has been sent
            candidate._connection.send_bytes(bytes(LARGEST + 1))
        with pytest.raises(Gone):
            _examine(candidate, right("17.2"))


def test_what_is_lent_is_no_more_than_a_number():
    lent = []
    message = Writer(Channel(Pipe()[0])._number_of).message(["value", lambda: 0, object()])
    Reader(message, lambda *facts: lent.append(facts))
    assert [facts[:3] for facts in lent] == [("mine", 0, "function"), ("mine", 1, "object")]
