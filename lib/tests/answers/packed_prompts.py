"""Answers to chapter 06 as students write them, right and wrong."""

from fractions import Fraction
from itertools import accumulate

import numpy as np
import torch

# --- 06.1 layout(seen, lengths) ------------------------------------------------------------


def layout_lists(seen, lengths):
    positions = [past + i for past, n in zip(seen, lengths, strict=True) for i in range(n)]
    return positions, list(accumulate(lengths, initial=0))


def layout_tensors(seen, lengths):
    parts = [torch.arange(past, past + n) for past, n in zip(seen, lengths, strict=True)]
    bounds = torch.zeros(len(lengths) + 1, dtype=torch.int32)
    bounds[1:] = torch.tensor(lengths).cumsum(0)
    return torch.cat(parts), bounds


def layout_loop(seen, lengths):
    positions, bounds = [], [0]
    for row in range(len(lengths)):
        for step in range(lengths[row]):
            positions.append(seen[row] + step)
        bounds.append(len(positions))
    return positions, bounds


def layout_numpy(seen, lengths):
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    shift = np.repeat(np.array(seen) - bounds[:-1], lengths)
    return np.arange(bounds[-1]) + shift, bounds


def layout_runs_on(seen, lengths):
    return list(range(sum(lengths))), list(accumulate(lengths, initial=0))


def layout_from_zero(seen, lengths):
    return [i for n in lengths for i in range(n)], list(accumulate(lengths, initial=0))


def layout_one_too_far(seen, lengths):
    positions, bounds = layout_lists(seen, lengths)
    return [p + 1 for p in positions], bounds


def layout_without_last(seen, lengths):
    positions, bounds = layout_lists(seen, lengths)
    return positions, bounds[:-1]


def layout_without_first(seen, lengths):
    return layout_lists(seen, lengths)[0], np.cumsum(lengths)


def layout_lengths(seen, lengths):
    return layout_lists(seen, lengths)[0], lengths


def layout_drops_empty(seen, lengths):
    positions, bounds = layout_lists(seen, lengths)
    return positions, sorted(set(bounds))


def layout_counts_cached(seen, lengths):
    keys = [past + n for past, n in zip(seen, lengths, strict=True)]
    return layout_lists(seen, lengths)[0], list(accumulate(keys, initial=0))


def layout_bounds_first(seen, lengths):
    return layout_lists(seen, lengths)[::-1]


def layout_one_result(seen, lengths):
    return layout_lists(seen, lengths)[0]


def layout_nested(seen, lengths):
    nested = [list(range(p, p + n)) for p, n in zip(seen, lengths, strict=True)]
    return nested, list(accumulate(lengths, initial=0))


def layout_repeats_the_first(seen, lengths):
    return [seen[0] + i for n in lengths for i in range(n)], list(accumulate(lengths, initial=0))


# --- 06.2 packed_mask(q_lengths, k_lengths, window) ----------------------------------------


def mask_blocks(q_lengths, k_lengths, window):
    mask = torch.zeros(sum(q_lengths), sum(k_lengths), dtype=torch.bool)
    row = column = 0
    for n, m in zip(q_lengths, k_lengths, strict=True):
        ones = torch.ones(n, m, dtype=torch.bool)
        mask[row : row + n, column : column + m] = ones.tril(m - n).triu(m - n - window + 1)
        row, column = row + n, column + m
    return mask


def mask_positions(q_lengths, k_lengths, window):
    q_prompt = torch.arange(len(q_lengths)).repeat_interleave(torch.tensor(q_lengths))
    k_prompt = torch.arange(len(k_lengths)).repeat_interleave(torch.tensor(k_lengths))
    q_place = torch.cat([torch.arange(m - n, m) for n, m in zip(q_lengths, k_lengths, strict=True)])
    k_place = torch.cat([torch.arange(m) for m in k_lengths])
    distance = q_place[:, None] - k_place
    return (q_prompt[:, None] == k_prompt) & (distance >= 0) & (distance < window)


def mask_block_diag(q_lengths, k_lengths, window):
    blocks = []
    for n, m in zip(q_lengths, k_lengths, strict=True):
        rows = [[0 <= m - n + r - c < window for c in range(m)] for r in range(n)]
        blocks.append(torch.tensor(rows).float())
    return torch.block_diag(*blocks)


def mask_numpy_rows(q_lengths, k_lengths, window):
    rows = []
    for block, (n, m) in enumerate(zip(q_lengths, k_lengths, strict=True)):
        first = sum(k_lengths[:block])
        for r in range(n):
            row = np.zeros(sum(k_lengths), dtype=bool)
            own = first + m - n + r
            row[max(first, own - window + 1) : own + 1] = True
            rows.append(row)
    return np.stack(rows)


def _blocks(q_lengths, k_lengths, block):
    blocks = [block(n, m).float() for n, m in zip(q_lengths, k_lengths, strict=True)]
    return torch.block_diag(*blocks).bool()


def _distance(n, m):
    return torch.arange(m - n, m)[:, None] - torch.arange(m)


def mask_top_left(q_lengths, k_lengths, window):
    def block(n, m):
        return torch.ones(n, m).tril().triu(-window + 1)

    return _blocks(q_lengths, k_lengths, block)


def mask_packed_index(q_lengths, k_lengths, window):
    distance = torch.arange(sum(q_lengths))[:, None] - torch.arange(sum(k_lengths))
    same = _blocks(q_lengths, k_lengths, torch.ones)
    return same & (distance >= 0) & (distance < window)


def mask_leaks(q_lengths, k_lengths, window):
    distance = _distance(sum(q_lengths), sum(k_lengths))
    return (distance >= 0) & (distance < window)


def mask_one_more(q_lengths, k_lengths, window):
    return mask_blocks(q_lengths, k_lengths, window + 1)


def mask_one_less(q_lengths, k_lengths, window):
    def block(n, m):
        return (_distance(n, m) >= 0) & (_distance(n, m) < window - 1)

    return _blocks(q_lengths, k_lengths, block)


def mask_both_sides(q_lengths, k_lengths, window):
    return _blocks(q_lengths, k_lengths, lambda n, m: _distance(n, m).abs() < window)


def mask_future(q_lengths, k_lengths, window):
    return _blocks(q_lengths, k_lengths, lambda n, m: _distance(n, m) < window)


def mask_without_window(q_lengths, k_lengths, window):
    return _blocks(q_lengths, k_lengths, lambda n, m: _distance(n, m) >= 0)


def mask_whole_blocks(q_lengths, k_lengths, window):
    return _blocks(q_lengths, k_lengths, torch.ones)


def mask_inverted(q_lengths, k_lengths, window):
    return ~mask_blocks(q_lengths, k_lengths, window)


def mask_shift_of_first(q_lengths, k_lengths, window):
    shift = k_lengths[0] - q_lengths[0]

    def block(n, m):
        distance = torch.arange(n)[:, None] + shift - torch.arange(m)
        return (distance >= 0) & (distance < window)

    return _blocks(q_lengths, k_lengths, block)


def mask_hides_the_cache(q_lengths, k_lengths, window):
    def block(n, m):
        distance = _distance(n, m)
        return (distance >= 0) & (distance < window) & (torch.arange(m) >= m - n)

    return _blocks(q_lengths, k_lengths, block)


def mask_shows_the_cache(q_lengths, k_lengths, window):
    def block(n, m):
        distance = _distance(n, m)
        return (distance >= 0) & (distance < window) | (torch.arange(m) < m - n)

    return _blocks(q_lengths, k_lengths, block)


def mask_without_self(q_lengths, k_lengths, window):
    def block(n, m):
        return (_distance(n, m) > 0) & (_distance(n, m) <= window)

    return _blocks(q_lengths, k_lengths, block)


def mask_square(q_lengths, k_lengths, window):
    return mask_blocks(q_lengths, q_lengths, window)


def mask_for_first_chunk_only(q_lengths, k_lengths, window):
    mask = torch.zeros(sum(q_lengths), sum(k_lengths), dtype=torch.bool)
    start = 0
    for n in q_lengths:
        mask[start : start + n, start : start + n] = torch.ones(n, n).tril().triu(1 - window).bool()
        start += n
    return mask


def mask_additive(q_lengths, k_lengths, window):
    return torch.zeros(sum(q_lengths), sum(k_lengths)).masked_fill(
        ~mask_blocks(q_lengths, k_lengths, window), -torch.inf
    )


def mask_from_library(q_lengths, k_lengths, window):
    from mixlab.transformer.packed_masks import causal_block_mask

    return causal_block_mask(q_lengths, k_lengths, window)


# --- 06.3 decode_mask(seen, slots, window) -------------------------------------------------


def ring_positions(seen, slots, window):
    mask = torch.zeros(len(seen), len(seen) * slots, dtype=torch.bool)
    for row, n in enumerate(seen):
        for position in range(max(0, n - window), n):
            mask[row, row * slots + position % slots] = True
    return mask


def ring_vectorised(seen, slots, window):
    last = torch.tensor(seen)[:, None] - 1
    slot = torch.arange(slots)
    held = last - (last - slot) % slots  # the last position that leaves this remainder
    visible = (held >= 0) & (last - held < window)  # (batch, slots)
    return (torch.eye(len(seen), dtype=torch.bool)[:, :, None] & visible[:, None]).flatten(1)


def ring_played(seen, slots, window):
    rows = []
    for row, n in enumerate(seen):
        held = [None] * slots
        for position in range(n):
            held[position % slots] = position
        own = [p is not None and n - 1 - p < window for p in held]
        rows.append([False] * (row * slots) + own + [False] * ((len(seen) - row - 1) * slots))
    return rows


def _stretches(seen, slots, chosen):
    mask = torch.zeros(len(seen), len(seen), slots, dtype=torch.bool)
    for row, n in enumerate(seen):
        for slot in chosen(n):
            mask[row, row, slot] = True
    return mask.flatten(1)


def ring_everything(seen, slots, window):
    return torch.ones(len(seen), len(seen) * slots)


def ring_all_slots(seen, slots, window):
    return _stretches(seen, slots, lambda n: range(slots))


def ring_in_use(seen, slots, window):
    return _stretches(seen, slots, lambda n: range(min(n, slots)))


def ring_in_slot_order(seen, slots, window):
    return _stretches(seen, slots, lambda n: range(max(0, min(n, slots) - window), min(n, slots)))


def ring_first_slots(seen, slots, window):
    return _stretches(seen, slots, lambda n: range(min(n, window)))


def ring_one_too_far(seen, slots, window):
    return ring_positions([n + 1 for n in seen], slots, window)


def ring_without_self(seen, slots, window):
    return _stretches(seen, slots, lambda n: [p % slots for p in range(max(0, n - window), n - 1)])


def ring_one_more(seen, slots, window):
    return ring_positions(seen, slots, min(slots, window + 1))


def ring_negative_positions(seen, slots, window):
    return _stretches(seen, slots, lambda n: [p % slots for p in range(n - window, n)])


def ring_leaks(seen, slots, window):
    rows = [torch.cat([ring_positions([n], slots, window)[0]] * len(seen)) for n in seen]
    return torch.stack(rows)


def ring_inverted(seen, slots, window):
    return ~ring_positions(seen, slots, window)


def ring_one_stretch(seen, slots, window):
    return torch.cat([ring_positions([n], slots, window) for n in seen])


def ring_not_wrapped(seen, slots, window):
    mask = torch.zeros(len(seen), len(seen) * slots, dtype=torch.bool)
    for row, n in enumerate(seen):
        for position in range(max(0, n - window), n):
            mask[row, row * slots + position] = True
    return mask


# --- 06.4 packed_rule(q_lengths, k_lengths, window) ----------------------------------------


def rule_from_ends(q_lengths, k_lengths, window):
    q_ends, k_ends = torch.tensor(q_lengths).cumsum(0), torch.tensor(k_lengths).cumsum(0)

    def sees(batch, head, query, key):
        q_prompt = torch.bucketize(query, q_ends, right=True)
        k_prompt = torch.bucketize(key, k_ends, right=True)
        distance = (k_ends[k_prompt] - key) - (q_ends[q_prompt] - query)
        return (q_prompt == k_prompt) & (distance >= 0) & (distance < window)

    return sees


def rule_tables(q_lengths, k_lengths, window):
    q_prompt = torch.tensor([b for b, n in enumerate(q_lengths) for _ in range(n)])
    k_prompt = torch.tensor([b for b, n in enumerate(k_lengths) for _ in range(n)])
    q_place = torch.tensor(
        [m - n + r for n, m in zip(q_lengths, k_lengths, strict=True) for r in range(n)]
    )
    k_place = torch.tensor([c for m in k_lengths for c in range(m)])

    def sees(batch, head, query, key):
        near = (q_place[query] >= k_place[key]) & (q_place[query] - k_place[key] < window)
        return (q_prompt[query] == k_prompt[key]) & near

    return sees


def rule_table_of_pairs(q_lengths, k_lengths, window):
    mask = mask_positions(q_lengths, k_lengths, window)
    return lambda batch, head, query, key: mask[query, key]


def rule_by_searching(q_lengths, k_lengths, window):
    """With the places of each prompt's end, found by counting the ends that lie before."""
    q_ends, k_ends = (np.cumsum(lengths) for lengths in (q_lengths, k_lengths))

    def sees(batch, head, query, key):
        query, key = np.asarray(query), np.asarray(key)
        i = (q_ends <= query[..., None]).sum(-1)
        j = (k_ends <= key[..., None]).sum(-1)
        back = (k_ends[j] - key) - (q_ends[i] - query)
        return torch.from_numpy(np.asarray((i == j) & (back >= 0) & (back < window)))

    return sees


def rule_of_a_grid(q_lengths, k_lengths, window):
    """Looks up every query with every key, whatever the two shapes broadcast to."""
    table = mask_positions(q_lengths, k_lengths, window)

    def sees(batch, head, query, key):
        grid = table[query.reshape(-1)][:, key.reshape(-1)]
        return grid.reshape(torch.broadcast_shapes(query.shape, key.shape))

    return sees


def rule_of_two_axes(q_lengths, k_lengths, window):
    """Always returns two axes, also for a single pair."""
    mask = mask_positions(q_lengths, k_lengths, window)
    return lambda batch, head, query, key: torch.atleast_2d(mask[query, key])


def _rule(q_lengths, k_lengths, window, right, distance):
    q_ends, k_ends = torch.tensor(q_lengths).cumsum(0), torch.tensor(k_lengths).cumsum(0)

    def sees(batch, head, query, key):
        q_prompt = torch.bucketize(query, q_ends, right=right)
        k_prompt = torch.bucketize(key, k_ends, right=right)
        far = distance(query, key, q_prompt, k_prompt, q_ends, k_ends)
        return (q_prompt == k_prompt) & (far >= 0) & (far < window)

    return sees


def _ends(i, j, q, k, q_ends, k_ends):
    return (k_ends[k] - j) - (q_ends[q] - i)


def rule_as_given(q_lengths, k_lengths, window):
    return _rule(q_lengths, k_lengths, window, False, lambda i, j, *rest: i - j)


def rule_only_border_mended(q_lengths, k_lengths, window):
    return _rule(q_lengths, k_lengths, window, True, lambda i, j, *rest: i - j)


def rule_only_distance_mended(q_lengths, k_lengths, window):
    return _rule(q_lengths, k_lengths, window, False, _ends)


def rule_from_starts(q_lengths, k_lengths, window):
    def distance(i, j, q, k, q_ends, k_ends):
        q_starts, k_starts = q_ends - torch.tensor(q_lengths), k_ends - torch.tensor(k_lengths)
        return (i - q_starts[q]) - (j - k_starts[k])

    return _rule(q_lengths, k_lengths, window, True, distance)


def rule_whole_pack_shift(q_lengths, k_lengths, window):
    shift = sum(k_lengths) - sum(q_lengths)
    return lambda batch, head, i, j: (i + shift - j >= 0) & (i + shift - j < window)


def rule_one_more(q_lengths, k_lengths, window):
    return rule_from_ends(q_lengths, k_lengths, window + 1)


def rule_without_window(q_lengths, k_lengths, window):
    return rule_from_ends(q_lengths, k_lengths, 999)


def rule_uses_if(q_lengths, k_lengths, window):
    def sees(batch, head, query, key):
        return bool(query >= key and query - key < window)

    return sees


def rule_returns_mask(q_lengths, k_lengths, window):
    return mask_positions(q_lengths, k_lengths, window)


def rule_wrong_sign(q_lengths, k_lengths, window):
    return _rule(q_lengths, k_lengths, window, True, lambda *places: -_ends(*places))


def rule_shift_of_pack(q_lengths, k_lengths, window):
    shift = sum(k_lengths) - sum(q_lengths)
    return _rule(q_lengths, k_lengths, window, True, lambda i, j, *rest: i + shift - j)


def rule_shift_of_first(q_lengths, k_lengths, window):
    shift = k_lengths[0] - q_lengths[0]
    return _rule(q_lengths, k_lengths, window, True, lambda i, j, *rest: i + shift - j)


# --- 06.5 padded_share(lengths, batch) -----------------------------------------------------


def share_loop(lengths, batch):
    slots = 0
    for start in range(0, len(lengths), batch):
        part = lengths[start : start + batch]
        slots += len(part) * max(part)
    return (slots - sum(lengths)) / slots


def share_padding_counted(lengths, batch):
    padding = total = 0
    for at, n in enumerate(lengths):
        first = at // batch * batch
        longest = max(lengths[first : first + batch])
        padding += longest - n
        total += longest
    return np.float32(padding / total)


def share_tensor(lengths, batch):
    parts = torch.tensor(lengths).split(batch)
    slots = sum(len(part) * part.max() for part in parts)
    return 1 - sum(lengths) / slots


def share_of_tokens(lengths, batch):
    return 1 - share_loop(lengths, batch)


def share_percent(lengths, batch):
    return 100 * share_loop(lengths, batch)


def share_of_padding_by_tokens(lengths, batch):
    share = share_loop(lengths, batch)
    return share / (1 - share)


def share_rounded(lengths, batch):
    return round(share_loop(lengths, batch), 2)


def share_one_rectangle(lengths, batch):
    return 1 - sum(lengths) / (len(lengths) * max(lengths))


def share_mean(lengths, batch):
    parts = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
    return np.mean([1 - np.mean(part) / max(part) for part in parts])


def share_full_batches(lengths, batch):
    parts = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
    return 1 - sum(lengths) / sum(batch * max(part) for part in parts)


def share_sorted(lengths, batch):
    return share_loop(sorted(lengths), batch)


def share_drops_rest(lengths, batch):
    whole = lengths[: len(lengths) // batch * batch]
    return share_loop(whole, batch) if whole else 0.0


def share_slots(lengths, batch):
    return [share_loop(lengths, batch), sum(lengths)]


# --- 06.6 keeps_apart(layer) ---------------------------------------------------------------


def apart_packs(layer):
    rng = torch.Generator().manual_seed(0)
    for lengths in ([3, 1, 5, 2], [1, 4], [6, 2, 2]):
        tokens = torch.randint(50, (sum(lengths),), generator=rng)
        alone = [layer(part, [len(part)]) for part in tokens.split(lengths)]
        if not torch.allclose(layer(tokens, lengths), torch.cat(alone)):
            return False
    return True


def apart_one_pack(layer):
    lengths = [4, 1, 6, 2, 1, 4]
    tokens = (torch.arange(18) * 7 + 3) % 50
    packed, start = layer(tokens, lengths), 0
    for n in lengths:
        one = slice(start, start + n)
        if (packed[one] - layer(tokens[one], [n])).abs().max() > 1e-6:
            return False
        start += n
    return True


def apart_numpy(layer):
    rng = np.random.default_rng(3)
    for _ in range(10):
        lengths = [*rng.integers(1, 6, 4).tolist(), 1]
        tokens = torch.from_numpy(rng.integers(0, 50, sum(lengths)))
        parts = [layer(part, [len(part)]).numpy() for part in tokens.split(lengths)]
        if not np.allclose(layer(tokens, lengths).numpy(), np.concatenate(parts)):
            return False
    return True


def _same(layer, lengths, equal=torch.allclose, judged=slice(None)):
    tokens = torch.randint(50, (sum(lengths),), generator=torch.Generator().manual_seed(1))
    packed = layer(tokens, lengths).split(lengths)[judged]
    parts = tokens.split(lengths)[judged]
    pairs = zip(packed, parts, strict=True)
    return all(equal(one, layer(part, [len(part)])) for one, part in pairs)


def apart_lazily(layer):
    return True


def apart_never(layer):
    return False


def apart_exactly(layer):
    return _same(layer, [4, 1, 6, 2], torch.equal)


def apart_by_influence(layer):
    lengths, rng = [3, 1, 5, 2], torch.Generator().manual_seed(2)
    tokens = torch.randint(50, (11,), generator=rng)
    before = layer(tokens, lengths).split(lengths)
    for changed in range(4):
        other = [part.clone() for part in tokens.split(lengths)]
        other[changed] = (other[changed] + 1) % 50
        after = layer(torch.cat(other), lengths).split(lengths)
        for looked_at in set(range(4)) - {changed}:
            if not torch.allclose(before[looked_at], after[looked_at]):
                return False
    return True


def apart_last_prompt(layer):
    return _same(layer, [3, 2, 4, 2], judged=slice(-1, None))


def apart_first_prompt(layer):
    return _same(layer, [3, 2, 4, 2], judged=slice(0, 1))


def apart_two_equal_prompts(layer):
    return _same(layer, [4, 4])


def apart_two_prompts(layer):
    return _same(layer, [2, 6])


def apart_three_long_prompts(layer):
    return _same(layer, [2, 3, 4])


def apart_no_two_alike(layer):
    return _same(layer, [6, 1, 3, 2])


def apart_equal_prompts(layer):
    return _same(layer, [4] * 5)


def apart_in_loops(layer):
    """Several packs, token by token, with a tolerance."""
    for lengths in ([2, 3, 1, 2], [1, 5, 5, 4, 1], [4, 2]):
        tokens, start = [(11 * t + 5) % 50 for t in range(sum(lengths))], 0
        together = layer(tokens, lengths).tolist()
        for n in lengths:
            alone = layer(tokens[start : start + n], [n]).tolist()
            for one, other in zip(together[start : start + n], alone, strict=True):
                if any(abs(a - b) > 1e-8 for a, b in zip(one, other, strict=True)):
                    return False
            start += n
    return True


def apart_one_small_pack(layer):
    return _same(layer, [1, 2, 1])


def apart_two_single_tokens(layer):
    return _same(layer, [4, 1, 6, 2, 1, 3])


def apart_tokens_alike(layer):
    lengths, tokens = [3, 1, 5, 3], torch.full((12,), 7)
    parts = [layer(part, [len(part)]) for part in tokens.split(lengths)]
    return torch.allclose(layer(tokens, lengths), torch.cat(parts))


def apart_in_any_order(layer):
    lengths, parts = [2, 1, 4, 2], torch.arange(9).split([2, 1, 4, 2])
    there = layer(torch.cat(parts), lengths).split(lengths)
    back = layer(torch.cat(parts[::-1]), lengths[::-1]).split(lengths[::-1])
    return all(torch.allclose(a, b) for a, b in zip(there, back[::-1], strict=True))


def apart_alone(layer):
    return _same(layer, [7])


def apart_returns_difference(layer):
    tokens = torch.arange(5)
    return (layer(tokens, [2, 3])[:2] - layer(tokens[:2], [2])).abs().max()


# --- and of another class ------------------------------------------------------------------


def mask_over_the_start(q_lengths, k_lengths, window):
    mask, row, end = torch.zeros(sum(q_lengths), sum(k_lengths)), 0, 0
    for n, m in zip(q_lengths, k_lengths, strict=True):
        end += m
        for own in range(end - n, end):
            mask[row, max(0, own - window + 1) : own + 1] = 1
            row += 1
    return mask


def rule_of_loops(q_lengths, k_lengths, window):
    """Prompt by prompt, with NumPy."""

    def sees(batch, head, query, key):
        query, key = np.asarray(query), np.asarray(key)
        seen, q_start, k_start = False, 0, 0
        for n, m in zip(q_lengths, k_lengths, strict=True):
            i, j = query - q_start + m - n, key - k_start
            own = (i >= m - n) & (i < m) & (j >= 0) & (j < m)
            seen |= own & (i >= j) & (i - j < window)
            q_start, k_start = q_start + n, k_start + m
        return seen

    return sees


def rule_of_the_whole_grid(q_lengths, k_lengths, window):
    mask = mask_positions(q_lengths, k_lengths, window)
    return lambda batch, head, query, key: mask


def share_fraction(lengths, batch):
    slots = sum(
        max(lengths[at : at + batch]) * len(lengths[at : at + batch])
        for at in range(0, len(lengths), batch)
    )
    return Fraction(slots - sum(lengths), slots)


def share_of_strides(lengths, batch):
    n = -(-len(lengths) // batch)
    parts = [lengths[first::n] for first in range(n)]
    return 1 - sum(lengths) / sum(len(part) * max(part) for part in parts)


def apart_first_tokens(layer):
    return all(
        _same(layer, pack, lambda one, alone: torch.allclose(one[0], alone[0]))
        for pack in ([3, 1, 5, 2], [3, 3, 3])
    )


def apart_all_but_the_first(layer):
    return all(_same(layer, pack, judged=slice(1, None)) for pack in ([3, 2, 5, 1], [3, 3, 3]))


RIGHT = {
    "06.1": [layout_lists, layout_tensors, layout_loop, layout_numpy],
    "06.2": [mask_blocks, mask_positions, mask_block_diag, mask_numpy_rows],
    "06.3": [ring_positions, ring_vectorised, ring_played],
    "06.4": [
        rule_from_ends,
        rule_tables,
        rule_table_of_pairs,
        rule_of_loops,
        rule_by_searching,
    ],
    "06.5": [share_loop, share_padding_counted, share_tensor, share_fraction],
    "06.6": [apart_packs, apart_one_pack, apart_numpy, apart_in_loops],
}

WRONG = {
    "06.1": [
        (layout_runs_on, "run on through the whole pack"),
        (layout_from_zero, "start at 0 in every chunk"),
        (layout_one_too_far, "start one too far"),
        (layout_without_last, "lack the last one"),
        (layout_without_first, "lack the first one"),
        (layout_lengths, "are the lengths themselves"),
        (layout_drops_empty, "It still is a prompt"),
        (layout_counts_cached, "count the cached tokens too"),
        (layout_bounds_first, "you return the bounds first"),
        (layout_one_result, "expected two results"),
        (layout_nested, "one list of whole numbers"),
        (layout_repeats_the_first, "first wrong place: positions"),
    ],
    "06.2": [
        (mask_top_left, "aligned top-left"),
        (mask_packed_index, "measure distance in the pack"),
        (mask_leaks, "your mask leaks"),
        (mask_one_more, "W + 1 keys"),
        (mask_one_less, "W - 1 keys"),
        (mask_both_sides, "also see later keys"),
        (mask_future, "also see later keys"),
        (mask_without_window, "the window has no effect"),
        (mask_whole_blocks, "the whole of its own block"),
        (mask_inverted, "True where the key is hidden"),
        (mask_shift_of_first, "you shift all prompts alike"),
        (mask_hides_the_cache, "sees a key from the cache"),
        (mask_shows_the_cache, "see every cached key"),
        (mask_without_self, "don't see themselves"),
        (mask_square, "expected shape"),
        (mask_for_first_chunk_only, "first wrong place: query 0, key"),
        (mask_additive, "the mask to add to the scores"),
        (mask_from_library, "mixlab.transformer.packed_masks.causal_block_mask"),
        (mask_over_the_start, "reaches over the start of its prompt"),
    ],
    "06.3": [
        (ring_everything, "every slot of every ring"),
        (ring_all_slots, "no token has been written to"),
        (ring_in_use, "right while window equals slots"),
        (ring_in_slot_order, "isn't in order"),
        (ring_first_slots, "only by chance"),
        (ring_one_too_far, "a token that isn't there yet"),
        (ring_without_self, "don't see themselves"),
        (ring_one_more, "W + 1 keys"),
        (ring_negative_positions, "positions below 0 don't exist"),
        (ring_leaks, "slots of all the others too"),
        (ring_inverted, "True where the key is hidden"),
        (ring_one_stretch, "expected shape"),
        (ring_not_wrapped, "decode_mask(seen="),
    ],
    "06.4": [
        (rule_as_given, "both mistakes are still there"),
        (rule_only_border_mended, "measure distance in the pack"),
        (rule_only_distance_mended, "still belongs to the prompt before it"),
        (rule_from_starts, "aligned top-left"),
        (rule_whole_pack_shift, "your mask leaks"),
        (rule_one_more, "W + 1 keys"),
        (rule_without_window, "the window has no effect"),
        (rule_uses_if, "it raised RuntimeError"),
        (rule_returns_mask, "expected the function `sees`"),
        (rule_shift_of_first, "you shift all prompts alike"),
        (rule_shift_of_pack, "you shift all prompts alike"),
        (rule_wrong_sign, "the wrong sign"),
        (rule_of_the_whole_grid, "when it is asked from the end"),
        (rule_of_a_grid, "it raised RuntimeError: shape"),
        (rule_of_two_axes, "expected a mask with 1 axis"),
    ],
    "06.5": [
        (share_of_tokens, "the share of tokens"),
        (share_percent, "in percent"),
        (share_rounded, "that is rounded"),
        (share_of_padding_by_tokens, "divide padding by tokens"),
        (share_one_rectangle, "a longest of its own"),
        (share_mean, "the mean of the batches' shares"),
        (share_full_batches, "with empty rows"),
        (share_sorted, "you sort the prompts first"),
        (share_drops_rest, "shorter batch is missing"),
        (share_slots, "expected one number"),
        (share_of_strides, "expected:"),
    ],
    "06.6": [
        (apart_lazily, "accepts everything"),
        (apart_never, "rejects everything"),
        (apart_exactly, "equality to the last bit"),
        (apart_by_influence, "what it would get alone"),
        (apart_last_prompt, "the last prompt only"),
        (apart_first_prompt, "the first prompt only"),
        (apart_two_equal_prompts, "one kind of pack only"),
        (apart_two_prompts, "one kind of pack only"),
        (apart_three_long_prompts, "one kind of pack only"),
        (apart_no_two_alike, "one kind of pack only"),
        (apart_one_small_pack, "one kind of pack only"),
        (apart_two_single_tokens, "one kind of pack only"),
        (apart_equal_prompts, "one kind of pack only"),
        (apart_tokens_alike, "are alike"),
        (apart_in_any_order, "in another order and compares"),
        (apart_alone, "accepts everything"),
        (apart_returns_difference, "expected True or False"),
        (apart_first_tokens, "expected: False"),
        (apart_all_but_the_first, "expected: False"),
    ],
}
