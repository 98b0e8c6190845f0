"""The tokenizers that Mistral published, and two thousand texts to try them on."""

import random
import sys
from pathlib import Path

import pytest

# A word or two in as many scripts as a course is likely to meet, and what is in no script.
SCRIPTS = """The cat sat|Ærøskøbing Straße|İstanbul ığüş|Žluťoučký kůň|Łódź|Việt Nam|Ελληνικά|
Съешь ещё|Українська|ქართული|Հայերեն|עברית שלום|العربية مرحبا|فارسی|اردو|हिन्दी नमस्ते|বাংলা|ਪੰਜਾਬੀ|
ગુજરાતી|தமிழ்|తెలుగు|ಕನ್ನಡ|മലയാളം|සිංහල|ไทยสวัสดี|ລາວ|བོད་སྐད|မြန်မာ|ខ្មែរ|አማርኛ|ᏣᎳᎩ|ᐃᓄᒃᑎᑐᑦ|ᠮᠣᠩᠭᠣᠯ|
日本語のテキスト|カタカナ|中文字符|漢字|한국어|ᚠᚢᚦ|𐌰𐌱𐌲|𝕳𝖊𝖑𝖑𝖔|ﬁ ﷺ ①½Ⅷ|∑∫√∞ ≠|←→⇒ ▁▂▃|
👩‍👩‍👧‍👦|🏳️‍🌈 🇫🇷|🙂😀🤯|e\u0301 \u00e9|\u200b\ufeff\u00ad|\u202eabc\u202c|\ufffd|\U000e0041|
\U0010ffff""".replace("\n", "").split("|")
SPACES = [" ", "  ", "    ", "\t", "\n", "\n\n", "\r\n", " \n", "\u00a0", "\u3000", "\u2028", ""]
PLAIN = """don't we'll they'VE|def f(x):|    return x**2|#include <vector>|
{"json": [1, 2.5e-3, null]}|https://example.org/a?b=c&d=%20|1234567890|3.14159|1,000,000|0x1F|aaaaaaaaaaaaaaaaaaaa|----------|
CamelCaseWORDS|(((|!!!???|\\\\|$x^2$|<b>bold</b>|UPPER lower""".replace("\n", "").split("|")
CONTROL = [chr(code) for code in (*range(32), 127, 0x80, 0x85, 0x9F)]


def texts(count: int = 2_000, seed: int = 0) -> list[str]:
    """Texts of many scripts, spaces, control characters and any characters at all."""
    draw = random.Random(seed)
    anything = [*range(0xD800), *range(0xE000, 0x110000)]
    found = ["", *SPACES, *SCRIPTS, *PLAIN, *CONTROL, " ".join(SCRIPTS), "\n".join(PLAIN)]
    while len(found) < count:
        parts = draw.choices([*SCRIPTS, *PLAIN, *CONTROL], k=draw.randint(1, 6))
        parts += [chr(draw.choice(anything)) for _ in range(draw.choice([0, 0, 1, 5]))]
        parts += [draw.choice(SPACES) * draw.randint(1, 20) for _ in range(draw.randint(0, 3))]
        draw.shuffle(parts)
        found.append(draw.choice(SPACES).join(parts))
    return found[:count]


def published(name: str) -> Path:
    """A tokenizer's file out of the package mistral-common; skips the test without it."""
    file = Path(sys.prefix, "mistral-common", "mistral_common", "data", name)
    if not file.exists():
        pytest.skip("Mistral's tokenizers are fetched by `make test`")
    return file
