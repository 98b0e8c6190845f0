"""What all byte-pair tokenizers share: merges found again from scores, and tokens set apart.

Byte-pair encoding begins with single characters and joins neighbours, the best pair first. Some
files list the pairs in order; Mistral's list only the tokens, each with a score, and the pairs are
then every way to cut a token into two others. Source: Sennrich et al., "Neural Machine Translation
of Rare Words with Subword Units" (2016), algorithm 1.
"""

from collections.abc import Iterable, Mapping

from tokenizers import AddedToken, Tokenizer, processors


def merges(scores: Mapping[str, int | float]) -> list[tuple[str, str]]:
    """The pairs whose union is a token, best score first.

    An encoder that goes by scores joins the leftmost of equally good pairs, one that goes by a
    list the first in the list. They meet at the cuts of one token, such as aba = ab + a = a + ba:
    where both fit, as in ab·a·ba, the left one has the longer left half, so that one comes first.

    Args:
        scores: of each token that a text may become; higher is better.

    >>> merges({"a": 0, "b": 0, "ab": -1, "ba": -2, "aba": -3})
    [('a', 'b'), ('b', 'a'), ('ab', 'a'), ('a', 'ba')]
    """
    cuts = ((token[:at], token[at:]) for token in scores for at in range(1, len(token)))
    pairs = [(left, right) for left, right in cuts if left in scores and right in scores]
    return sorted(pairs, key=lambda pair: (-scores[pair[0] + pair[1]], -len(pair[0])))


def set_apart(
    built: Tokenizer,
    *,
    special: Iterable[str] = (),
    words: Iterable[str] = (),
    first: str | None = None,
    last: str | None = None,
) -> Tokenizer:
    """Give some tokens their part: they stand for themselves wherever they occur in a text.

    Args:
        built: changed in place; it knows all of these tokens.
        special: those that decoding leaves out, such as <s>.
        words: those that are part of the text, which the model's makers added.
        first, last: tokens that every text begins or ends with.

    Returns:
        The same tokenizer.
    """
    built.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    built.add_tokens([AddedToken(token, normalized=False) for token in words])
    ends = dict.fromkeys(token for token in (first, last) if token is not None)
    if ends:
        built.post_processor = processors.TemplateProcessing(
            single=[token for token in (first, "$A", last) if token is not None],
            special_tokens=[(token, built.token_to_id(token)) for token in ends],
        )
    return built
