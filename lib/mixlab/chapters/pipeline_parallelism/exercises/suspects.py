"""Schedules that can run and schedules that can't, made of a few families."""


def listed(ahead, n_microbatches):
    """Forward as far as `ahead` allows, else back, the oldest first."""
    sent = done = 0
    words = []
    while done < n_microbatches:
        if sent < n_microbatches and sent - done < max(1, ahead):
            words.append(f"F{sent}")
            sent += 1
        else:
            words.append(f"B{done}")
            done += 1
    return words


def each(ahead):
    """A schedule whose stage s of p sends ahead(s, p) microbatches ahead."""
    return lambda p, m, at: [listed(ahead(s, p), m) for s in range(p)]


def gpipe(p, m, at):
    return each(lambda s, p: m)(p, m, at)


def one_f_one_b(p, m, at):
    return each(lambda s, p: p - s)(p, m, at)


def changed(change, base=one_f_one_b):
    """One stage's list after a change."""

    def make(p, m, at):
        schedule = base(p, m, at)
        schedule[at] = change(schedule[at], m)
        return schedule

    return make


def everywhere(change, base=one_f_one_b):
    return lambda p, m, at: [change(words, m) for words in base(p, m, at)]


def moved(word, before):
    """A list with one action moved in front of another."""

    def move(words, m):
        rest = [one for one in words if one != word(m)]
        place = rest.index(before(m))
        return [*rest[:place], word(m), *rest[place:]]

    return move


def without(word):
    return lambda words, m: [one for one in words if one != word(m)]


def again(word):
    return lambda words, m: [two for one in words for two in [one] * (1 + (one == word(m)))]


def instead(old, new):
    return lambda words, m: [new(m) if one == old(m) else one for one in words]


def backwards(kind):
    """All actions of a kind in reverse, each in the place of another."""

    def turn(words, m):
        turned = iter([one for one in words if one[0] == kind][::-1])
        return [next(turned) if one[0] == kind else one for one in words]

    return turn


def last(kind):
    return lambda m: f"{kind}{m - 1}"


def first(kind):
    return lambda m: f"{kind}0"


# What a schedule is, and how it is made for p stages, m microbatches (two at least) and one stage
# that is special. Of each the check has one, and grading draws others.
RIGHT = {
    "all forward, then all backward": gpipe,
    "one forward, one backward": one_f_one_b,
    "one microbatch after the other": each(lambda s, p: 1),
    "more ahead than needed": each(lambda s, p: 2 * (p - s)),
    "all forward, then backward from the last microbatch on": everywhere(backwards("B"), gpipe),
    "everything from the last microbatch on": everywhere(
        lambda words, m: backwards("B")(backwards("F")(words, m), m)
    ),
    "all forward first, one stage from the last microbatch on": changed(backwards("F"), gpipe),
    "all forward first, one stage goes back in its own order": changed(backwards("B"), gpipe),
}
WRONG = {
    "one stage goes back before it went forward": changed(moved(last("B"), last("F"))),
    "one stage never goes back with the last microbatch": changed(without(last("B"))),
    "one stage never goes forward with the last microbatch": changed(without(last("F"))),
    "one stage has nothing to do": changed(lambda words, m: []),
    "nobody has the last microbatch": everywhere(
        lambda words, m: without(last("F"))(without(last("B"))(words, m), m)
    ),
    "all microbatches count from 1": lambda p, m, at: [
        [f"{word[0]}{int(word[1:]) + 1}" for word in words] for words in one_f_one_b(p, m, at)
    ],
    "all have one microbatch too many": lambda p, m, at: one_f_one_b(p, m + 1, at),
    "one stage goes back twice with a microbatch": changed(again(first("B"))),
    "one stage goes forward twice with a microbatch": changed(again(first("F"))),
    "all go back with the first microbatch twice, and never with the last": everywhere(
        instead(last("B"), first("B"))
    ),
    "one stage sends one ahead, the next waits for two": lambda p, m, at: [
        listed(1 if s <= at else m, m) for s in range(p)
    ],
    "1F1B with its stages upside down": each(lambda s, p: s + 1),
    "one by one, but the last stage begins with the last microbatch": lambda p, m, at: [
        *each(lambda s, p: 1)(p - 1, m, at),
        backwards("F")(backwards("B")(listed(1, m), m), m),
    ],
}
FAMILIES = RIGHT | WRONG


def suspect(family, p, m, at):
    """The lists, stage by stage; what they are stays with whoever made them."""
    return FAMILIES[family](p, m, at), m
