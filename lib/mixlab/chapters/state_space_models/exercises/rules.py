"""Rules that step h' = a h + x, of first order, of second, and of none."""

from math import exp, expm1


def free(a, delta, kind):
    """What a step leaves of the state."""
    z = delta * a
    return {"exact": exp(z), "bilinear": (1 + z / 2) / (1 - z / 2), "Euler": 1 + z}[kind]


def gain(a, delta, kind):
    """What a step lets in of an input that is held at 1."""
    z = delta * a
    return {"exact": expm1(z) / a, "bilinear": delta / (1 - z / 2), "Euler": delta}[kind]


def held(kind, now):
    """A rule that holds a mean of the two samples, `now` the newer one's share."""

    def make(n):
        share = n / 10 if now is None else now
        return lambda a, delta, old, new, h: (
            free(a, delta, kind) * h + gain(a, delta, kind) * ((1 - share) * old + share * new)
        )

    return make


def ends(now, decays=True):
    """Mamba-3's rule: each end of the step with its own weight."""

    def make(n):
        share = n / 10 if now is None else now

        def rule(a, delta, old, new, h):
            kept = exp(delta * a)
            return kept * h + delta * ((1 - share) * (kept if decays else 1) * old + share * new)

        return rule

    return make


def heun(n):
    def rule(a, delta, old, new, h):
        first = a * h + old
        return h + delta / 2 * (first + a * (h + delta * first) + new)

    return rule


def straight(n):
    """Exact for an input that goes straight from one sample to the other."""

    def rule(a, delta, old, new, h):
        z = delta * a
        return exp(z) * h + gain(a, delta, "exact") * old + (expm1(z) - z) / a / z * (new - old)

    return rule


def backward(n):
    return lambda a, delta, old, new, h: (h + delta * (old + new) / 2) / (1 - delta * a)


def too_much(n):
    """Of second order, towards something else."""

    def rule(a, delta, old, new, h):
        mean = (old + new) / 2
        return free(a, delta, "bilinear") * h + (1 + n / 50) * gain(a, delta, "bilinear") * mean

    return rule


def barely(n):
    """Nearly both ends alike, and of first order all the same."""
    return held("exact", 0.5 + n / 150)(n)


def coarse(n):
    """Of second order, with a large error."""
    mean = held("exact", 0.5)(n)

    def rule(a, delta, old, new, h):
        more = (35 + n) * delta**2 / (1 + 4 * delta)
        return mean(a, delta, (1 + more) * old, (1 + more) * new, h)

    return rule


# Each makes a rule of a number of its own. The first of OTHER is in the check, where everybody may
# read it; another is drawn when an answer is graded.
FAMILIES = {
    "bilinear, the mean of both samples": held("bilinear", 0.5),
    "zero-order hold, the mean of both samples": held("exact", 0.5),
    "Mamba-3, both ends with the weight ½": ends(0.5),
    "slopes at both ends, the second guessed": heun,
    "exact for an input that goes straight": straight,
    "zero-order hold, the mean of both samples, pushed too hard by about (35 + {n}) Δ²": coarse,
    "bilinear, the new sample held": held("bilinear", 1),
    "bilinear, the old sample held": held("bilinear", 0),
    "zero-order hold, the new sample held": held("exact", 1),
    "zero-order hold, the old sample held": held("exact", 0),
    "Euler, the mean of both samples": held("Euler", 0.5),
    "Euler, the old sample held": held("Euler", 0),
    "backward Euler, the mean of both samples": backward,
    "Mamba, the new sample held": ends(1),
    "Mamba-3, both ends, the end with a share of {n}/10": ends(None),
    "zero-order hold, the new sample with a share of {n}/10": held("exact", None),
    "Mamba, the mean of both samples, no decay within the step": ends(0.5, decays=False),
    "zero-order hold, the new sample with a share of ½ + {n}/150": barely,
    "bilinear, the mean of both samples, and a push too large by {n}/50": too_much,
}
OTHER = (7, 2, 3, 8)  # tenths that aren't a half


def numbers_of(family):
    return (7, 6, 8, 9) if "150" in family else OTHER


def rule_of(family, n):
    """A rule of this family: the same code for all."""

    made = FAMILIES[family](n)

    def rule(a, delta, before, now, h):
        a, delta, before, now, h = (float(number) for number in (a, delta, before, now, h))
        if not (a < 0 and 0 < delta <= 1):
            raise ValueError(f"these rules take a below 0 and delta from 0 to 1: got {a}, {delta}")
        return made(a, delta, before, now, h)

    rule.__doc__ = family.format(n=n)
    return rule
