r"""LaTeX formulas to MathML Core, the part of MathML that browsers draw without any script.

latex2mathml translates the commands; it targets the older MathML 3, so a pass over its tree
follows that says the same in Core's terms (https://www.w3.org/TR/mathml-core): alphabets become
Unicode letters, column alignment becomes a class, words such as softmax become identifiers with
TeX's thin spaces, a minus after a bracket becomes a sign. Whatever the translation would drop
in silence or print as a bare command is an error.

Left out: \hline and column rules in array, \cancel, $ inside \text.
"""

import re
import unicodedata
import xml.etree.ElementTree as ET

from latex2mathml.converter import convert

OPENING, CLOSING = "([{⟨⌊⌈", ")]}⟩⌋⌉"
OPERATORS = set("⟹⟺⇒⇔⩽⩾:{}⟨⟩⌊⌋⌈⌉∼")
CAPITALS = set("ΓΔΘΛΞΠΣΥΦΨΩ")  # upright in TeX
LIMITS = {"max", "min", "lim", "sup", "inf", "argmax", "argmin"}
FUNCTIONS = LIMITS | set("exp log ln lg sin cos tan tanh sinh cosh det dim deg gcd Pr ker".split())
ACCENTS = {"^": "ˆ", "~": "˜", "→": "→", "˙": "˙", "¨": "¨", "ˇ": "ˇ"}
PARTS = dict.fromkeys(("msub", "msup", "munder", "mover", "mfrac", "mroot"), 2)
PARTS |= {"msubsup": 3, "munderover": 3}
ENVIRONMENTS = {
    **dict.fromkeys(("aligned", "align", "align*", "split"), "align*"),
    **dict.fromkeys(("gathered", "gather", "gather*"), "matrix"),
    **{letter + "matrix": letter + "matrix" for letter in ("", "p", "b", "v", "V", "B", "small")},
    "cases": "cases",
    "dcases": "cases",
    "array": "array",
}
SPELLINGS = [
    (re.compile(r"\\not\s*="), r"\\neq "),
    (re.compile(r"\\arg(?![a-zA-Z])\s*\\(max|min)(?![a-zA-Z])"), r"\\operatorname{arg\1}"),
    (re.compile(r"\\arg(?![a-zA-Z])"), r"\\operatorname{arg}"),
    (re.compile(r"\\sim(?![a-zA-Z])"), "∼"),
    (re.compile(r"(?<!\\):="), r"\\coloneqq "),
    (re.compile(r"\\!"), ""),
    (re.compile(r"\\\\\s*\[[\d.]+\s*[a-z]{2}\]"), r"\\\\"),
]


class MathError(ValueError):
    """A formula that cannot be shown as its author meant it."""


def to_mathml(latex: str, display: bool = False) -> str:
    r"""One formula as a <math> element. `display` sets it on a line of its own.

    Raises MathError, which quotes the formula and says what is wrong with it.

    >>> to_mathml("L(W-1)")[:66]
    '<math display="inline" alttext="L(W-1)"><mrow><mi>L</mi><mo stretc'
    >>> to_mathml(r"\foo")
    Traceback (most recent call last):
    ...
    classroom.slides.mathml.MathError: the formula \foo: unknown command \foo. ...
    """
    latex = latex.strip()
    if not latex:
        raise MathError("an empty formula: write something between the dollars, or \\$ for one.")
    try:
        text = convert(_spell(latex), display="block" if display else "inline")
    except MathError as error:
        raise MathError(f"the formula {latex}: {error}") from None
    except Exception as error:  # latex2mathml raises many kinds, IndexError among them
        reason = str(error) or type(error).__name__
        raise MathError(f"the formula {latex}: cannot be read ({reason}).") from error
    if re.search(r"&(?!#|amp;|lt;|gt;)", text):
        raise MathError(f"the formula {latex}: & stands outside an environment. Write \\&.")
    # \mathrm{d} arrives as a character reference and \mathit's d as a letter: keep that apart.
    upright = r"<mi>&#x000([46][1-9A-F]|[57][0-9A]);</mi>"
    text = re.sub(upright, r'<mi mathvariant="normal">&#x\1;</mi>', text)
    math = ET.fromstring(text.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ""))
    math.set("alttext", latex)
    try:
        _to_core(math, display)
    except MathError as error:
        raise MathError(f"the formula {latex}: {error}") from None
    return ET.tostring(math, encoding="unicode", short_empty_elements=False)


def _spell(latex: str) -> str:
    """The same formula in the words that latex2mathml knows."""
    bare = latex.replace(r"\\", "").replace(r"\{", "").replace(r"\}", "")
    if bare.count("{") != bare.count("}"):
        raise MathError("its braces do not match.")
    if re.search(r"(?<!\\)%", latex):
        raise MathError("% begins a comment in LaTeX and hides the rest. Write \\%.")
    if "`" in latex:
        raise MathError("a backtick inside a formula. Write \\$ where a dollar is meant.")
    if re.search(r"\\(hline|cancel)(?![a-zA-Z])", latex):
        raise MathError("\\hline and \\cancel have no counterpart in MathML Core.")
    for name in re.findall(r"\\begin\{([^}]*)\}", latex):
        if name not in ENVIRONMENTS:
            raise MathError(f"unknown environment {name}; known: {', '.join(ENVIRONMENTS)}.")
        other = ENVIRONMENTS[name]
        latex = latex.replace(f"\\begin{{{name}}}", f"\\begin{{{other}}}")
        latex = latex.replace(f"\\end{{{name}}}", f"\\end{{{other}}}")
    for pattern, replacement in SPELLINGS:
        latex = pattern.sub(replacement, latex)
    return latex


def _to_core(element: ET.Element, display: bool) -> None:
    """Rewrite one element and all below it, in place."""
    _refuse(element)
    for name in ("href", "columnspacing", "rowspacing"):
        element.attrib.pop(name, None)
    _join_upright_letters(element)
    _label_arrow(element)
    for child in element:
        _to_core(child, display)
    if element.tag == "mtd" and element.get("columnalign"):
        element.set("class", "math-" + element.attrib.pop("columnalign"))
    if element.tag == "mtable" and element.get("displaystyle"):
        element.set("class", "math-aligned")
    if element.tag == "menclose":
        element.tag = "mrow"
        element.attrib = {"class": "math-boxed"}
    if element.tag in ("mi", "mn", "mo", "mtext"):
        _letters(element)
    if element.tag in PARTS:
        _scripts(element, display)
    if element.tag in ("math", "mrow", "mtd", "mstyle", "msqrt"):
        _spaces(element)


def _refuse(element: ET.Element) -> None:
    """What would be shown wrong, or not at all."""
    text = element.text or ""
    if element.tag == "mtext":
        element.text = text = re.sub(r"\\([%_#&$])", r"\1", text)
        if text.count("$") > 1:
            raise MathError("a formula inside \\text. Close the \\text before it.")
    if "\\" in text:
        raise MathError(f"unknown command {text.strip()}. Write it in commands of plain LaTeX.")
    if element.get("linebreak"):
        raise MathError("\\\\ outside an environment. Use aligned.")
    if element.get("columnlines") or element.get("rowlines"):
        raise MathError("rules inside an array have no counterpart in MathML Core.")
    if len(element) != PARTS.get(element.tag, len(element)):
        raise MathError("an argument is missing, of \\frac or of a script.")
    if element.tag == "menclose" and element.get("notation") != "box":
        raise MathError(f"{element.get('notation')} has no counterpart in MathML Core.")


def _join_upright_letters(row: ET.Element) -> None:
    r"""\mathrm{softmax} comes as seven letters; one identifier of seven is upright by itself."""
    if len(row) > 1 and all(c.tag == "mi" and c.get("mathvariant") == "normal" for c in row):
        word = ET.Element("mi")
        word.text = "".join(child.text or "" for child in row)
        row[:] = [word]


def _letters(element: ET.Element) -> None:
    """Alphabets as Unicode letters, and identifiers that are really operators as such."""
    text = element.text or ""
    variant = element.get("mathvariant")
    if variant and variant != "normal":
        del element.attrib["mathvariant"]
        if element.tag == "mtext":
            element.set("class", f"math-{variant}")
        else:
            element.text = "".join(ALPHABETS.get((variant, letter), letter) for letter in text)
    elif element.tag == "mi" and text in OPERATORS:
        element.tag = "mo"
        element.set("stretchy", "false")
    elif element.tag == "mo" and text == "∞":
        element.tag = "mi"
    elif element.tag == "mi" and text in CAPITALS:
        element.set("mathvariant", "normal")
    if element.tag == "mo" and text in ("|", "‖", "/"):
        element.attrib.update(lspace="0em", rspace="0em")


def _alphabets() -> dict[tuple[str, str], str]:
    """(MathML's mathvariant, plain character) -> the Unicode mathematical letter."""
    prefix = "MATHEMATICAL "
    styles = ("BOLD ITALIC", "BOLD", "ITALIC", "DOUBLE-STRUCK", "SCRIPT", "SANS-SERIF", "MONOSPACE")
    kinds = re.compile(rf"({'|'.join(styles)}) (SMALL|CAPITAL|DIGIT) .+")
    table = {}
    for code in range(0x1D400, 0x1D800):
        match = kinds.fullmatch(unicodedata.name(chr(code), "").removeprefix(prefix))
        if match:
            plain = unicodedata.normalize("NFKC", chr(code))
            table[match[1].lower().replace(" ", "-"), plain] = chr(code)
    # The letters that Unicode had before it had the alphabets.
    table |= {("double-struck", unicodedata.normalize("NFKC", c)): c for c in "ℂℍℕℙℚℝℤ"}
    table |= {("script", unicodedata.normalize("NFKC", c)): c for c in "ℬℰℱℋℐℒℳℛℯℊℴ"}
    return table | {("italic", "h"): "ℎ"}


ALPHABETS = _alphabets()


def _label_arrow(element: ET.Element) -> None:
    r"""\xrightarrow{f}: an arrow as long as its label."""
    if element.tag in ("mover", "munder") and element[0].tag == "mstyle":
        arrow = element[0][0]
        arrow.set("stretchy", "true")
        gap = ET.Element("mspace", width="0.4em")
        label = ET.Element("mrow")
        label[:] = [gap, *(part for part in element[1] if part.tag != "mspace"), gap]
        element[:] = [arrow, label]


def _scripts(element: ET.Element, display: bool) -> None:
    """Limits, accents, primes, and no spaces around the operators of a script."""
    base, last = element[0], element[-1]
    sides = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
    if element.tag in sides and base.text in ("∑", "∏"):
        element.tag = sides[element.tag]  # the browser moves them aside in running text
    if element.tag in ("msub", "munder") and _word(base) in LIMITS:
        element.tag = "munder" if display else "msub"
    if element.tag in ("mover", "munder") and last.tag == "mo":
        if last.text in ("¯", "―"):  # a border is a bar as wide as what it covers, in any font
            side = "bar" if element.tag == "mover" else "line"
            element.tag, element.attrib = "mrow", {"class": f"math-{side}"}
            element[:] = [base]
        elif last.text in ACCENTS and element.tag == "mover":
            last.text = ACCENTS[last.text]
            last.set("stretchy", "true" if len("".join(base.itertext())) > 1 else "false")
            element.set("accent", "true")
        return
    if element.tag in ("msup", "msubsup") and last.text in ("′", "″", "‴"):
        last.tag = "mo"  # these glyphs are raised already
        last.attrib = {"lspace": "0em", "rspace": "0em"}
        primed = ET.Element("mrow")
        primed[:] = [base, last]
        element.tag = "mrow" if element.tag == "msup" else "msub"
        element[:] = list(primed) if element.tag == "mrow" else [primed, element[1]]
        return
    if element.tag not in ("mfrac", "mroot"):
        for script in list(element)[1:]:
            for sign in script.iter("mo"):
                sign.attrib.update(lspace="0em", rspace="0em")


def _word(element: ET.Element) -> str:
    """The function's name if the element is one, with or without scripts; else an empty text."""
    while element.tag in ("msub", "msup", "msubsup", "munder", "mover", "mrow") and len(element):
        if element.tag == "mrow" and len(element) > 1:
            return ""
        element = element[0]
    text = (element.text or "").replace("\xa0", " ")
    named = element.tag == "mo" and re.fullmatch(r"[A-Za-z][A-Za-z ]+", text) and text != "mod"
    return text if named or (element.tag == "mi" and text in FUNCTIONS) else ""


def _spaces(row: ET.Element) -> None:
    """TeX's spacing: thin around function names, none after a sign or inside {,}."""
    children = list(row)
    if len(children) == 1 and children[0].tag == "mo" and row.tag == "mrow":
        children[0].attrib.update(lspace="0em", rspace="0em")
    spaced: list[ET.Element] = []
    for position, child in enumerate(children):
        before = children[position - 1] if position else None
        after = children[position + 1] if position + 1 < len(children) else None
        operand_before = before is not None and (
            before.tag not in ("mo", "mspace") or before.text in tuple(CLOSING)
        )
        if child.tag == "mo" and child.text in ("−", "+", "±") and not operand_before:
            child.set("form", "prefix")
        if not _word(child):
            spaced.append(child)
            continue
        if operand_before and not _word(before):
            spaced.append(ET.Element("mspace", width="0.1667em"))
        spaced.append(child)
        if after is not None and after.tag not in ("mo", "mspace"):
            spaced.append(ET.Element("mspace", width="0.1667em"))
    row[:] = spaced
    for child in spaced:
        for name in child.iter("mo"):
            if _word(name):
                name.tag = "mi"
                name.attrib = {}
