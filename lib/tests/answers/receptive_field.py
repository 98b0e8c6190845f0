"""Answers to chapter 03 as students write them, right and wrong."""

import math

import numpy as np
import torch

# --- 03.1 receptive_field(windows, position) -------------------------------------------------


def field_sum(windows, position):
    if None in windows:
        return position + 1
    return min(position + 1, 1 + sum(window - 1 for window in windows))


def field_walk(windows, position):
    first = position
    for window in reversed(windows):
        first = 0 if window is None else max(first - (window - 1), 0)
    return position - first + 1


def field_sets(windows, position):
    if len(windows) > 12:  # a set of a hundred thousand would do, slowly
        return field_sum(windows, position)
    known = {position}
    for window in windows:
        window = position + 1 if window is None else window
        known = {j for i in known for j in range(max(0, i - window + 1), i + 1)}
    return len(known)


def field_tensor(windows, position):
    added = [position if window is None else window - 1 for window in windows]
    return torch.tensor(added).sum().clamp(max=position) + 1


def field_adds_windows(windows, position):
    return position + 1 if None in windows else min(position + 1, sum(windows))


def field_paper(windows, position):
    return position + 1 if None in windows else sum(windows)


def field_forgets_itself(windows, position):
    return field_sum(windows, position) - 1


def field_without_beginning(windows, position):
    return position + 1 if None in windows else 1 + sum(window - 1 for window in windows)


def field_position(windows, position):
    if None in windows:
        return position
    return min(position, 1 + sum(window - 1 for window in windows))


def field_first_window(windows, position):
    return field_sum([windows[0]] * len(windows), position)


def field_largest(windows, position):
    return position + 1 if None in windows else min(position + 1, max(windows))


def field_skips_none(windows, position):
    return field_sum([window for window in windows if window is not None], position)


def field_product(windows, position):
    return position + 1 if None in windows else min(position + 1, math.prod(windows))


def field_none_breaks(windows, position):
    return min(position + 1, 1 + sum(window - 1 for window in windows))


# --- 03.2 layers_needed(i, j, window) --------------------------------------------------------


def layers_closed(i, j, window):
    if j > i or (window == 1 and i > j):
        return -1
    return 0 if i == j else -(-(i - j) // (window - 1))


def layers_ceil(i, j, window):
    distance = i - j
    if distance == 0:
        return 0
    if distance < 0 or window == 1:
        return -1
    return math.ceil(distance / (window - 1))


def layers_loop(i, j, window):
    if i < j:
        return -1
    layers = 0
    while i > j:
        if window == 1:
            return -1
        i -= window - 1
        layers += 1
    return layers


def layers_numpy(i, j, window):
    if i == j:
        return np.int64(0)
    if i < j or window < 2:
        return np.int64(-1)
    return np.ceil((i - j) / (window - 1))


def layers_floor(i, j, window):
    if j > i or (window == 1 and i > j):
        return -1
    return 0 if i == j else (i - j) // (window - 1)


def layers_by_window(i, j, window):
    if j > i or (window == 1 and i > j):
        return -1
    return math.ceil((i - j) / window)


def layers_floor_by_window(i, j, window):
    if j > i or (window == 1 and i > j):
        return -1
    return (i - j) // window


def layers_one_more(i, j, window):
    if j > i or (window == 1 and i > j):
        return -1
    return 0 if i == j else (i - j) // (window - 1) + 1


def layers_from_one(i, j, window):
    found = layers_closed(i, j, window)
    return found + 1 if found >= 0 else -1


def layers_both_ways(i, j, window):
    return layers_closed(max(i, j), min(i, j), window)


def layers_negative(i, j, window):
    if window == 1:
        return 0 if i == j else -1
    return math.ceil((i - j) / (window - 1))


def layers_zero_ahead(i, j, window):
    return max(0, layers_closed(i, j, window)) if window > 1 else layers_closed(i, j, window)


def layers_divides_by_zero(i, j, window):
    return -1 if j > i else math.ceil((i - j) / (window - 1))


# --- 03.3 reach(masks) -----------------------------------------------------------------------


def reach_product(masks):
    known = torch.eye(len(masks[0]), dtype=torch.bool)
    for mask in masks:
        known = known | (mask.float() @ known.float() > 0)
    return known


def reach_loops(masks):
    seq = len(masks[0])
    known = [{i} for i in range(seq)]
    for mask in masks:
        rows = mask.tolist()
        known = [
            set().union(known[i], *(known[j] for j in range(seq) if rows[i][j])) for i in range(seq)
        ]
    return [[j in known[i] for j in range(seq)] for i in range(seq)]


def reach_downwards(masks):
    """From the last layer to the first: whom must one know in the layer below?"""
    eye = np.eye(len(masks[0]), dtype=int)
    wanted = eye
    for mask in reversed(masks):
        wanted = (wanted @ (mask.numpy().astype(int) | eye)).clip(max=1)
    return wanted


def reach_broadcast(masks):
    known = torch.eye(len(masks[0]), dtype=torch.bool)
    for mask in masks:
        mask = mask | torch.eye(len(mask), dtype=torch.bool)
        known = (mask[:, :, None] & known[None, :, :]).any(dim=1)
    return known


def reach_wrong_order(masks):
    return reach_product(masks[::-1])


def reach_without_residual(masks):
    known = torch.eye(len(masks[0]), dtype=torch.bool)
    for mask in masks:
        known = mask.float() @ known.float() > 0
    return known


def reach_first_mask(masks):
    step = masks[0].float() + torch.eye(len(masks[0]))
    return torch.linalg.matrix_power(step.double(), len(masks)) > 0


def reach_last_mask(masks):
    return reach_product([masks[-1]] * len(masks))


def reach_union(masks):
    return torch.stack(masks).any(dim=0) | torch.eye(len(masks[0]), dtype=torch.bool)


def reach_intersection(masks):
    return torch.stack(masks).all(dim=0)


def reach_transposed(masks):
    return reach_product(masks).T


def reach_overflows(masks):
    eye = torch.eye(len(masks[0]), dtype=torch.long)
    known = eye
    for mask in masks:
        known = (mask.long() | eye) @ known
    return known > 0


def reach_multiplies_truth(masks):
    known = torch.eye(len(masks[0]), dtype=torch.bool)
    for mask in masks:
        known = mask @ known
    return known


def reach_counts(masks):
    known = torch.eye(len(masks[0]))
    for mask in masks:
        known = known + mask.float() @ known
    return known


# --- 03.4 depends_on(f, seq, dim) ------------------------------------------------------------


def depends_gradient(f, seq, dim):
    x = torch.randn(seq, dim, dtype=torch.float64, requires_grad=True)
    (f(x)[-1] @ torch.randn(dim, dtype=torch.float64)).backward()
    return (x.grad != 0).any(dim=1)


def depends_single_precision(f, seq, dim):
    x = torch.randn(seq, dim, requires_grad=True)
    (f(x)[-1] * torch.randn(dim)).sum().backward()
    return x.grad.norm(dim=1) > 0


def depends_jacobian(f, seq, dim):
    x = torch.randn(seq, dim)
    jacobian = torch.autograd.functional.jacobian(f, x)  # (seq, dim, seq, dim)
    return jacobian[-1].abs().sum(dim=(0, 2)) != 0


def depends_exchange(f, seq, dim):
    x = torch.randn(seq, dim, dtype=torch.float64)
    before, found = f(x)[-1], []
    for j in range(seq):
        other = x.clone()
        other[j] = torch.randn(dim)
        found.append(not torch.equal(f(other)[-1], before))
    return torch.tensor(found)


def depends_as_given(f, seq, dim):
    x = torch.zeros(seq, dim, requires_grad=True)
    y = f(x)
    y[-1].sum().backward()
    return x.grad.norm(dim=1) > 1e-3


def depends_zeros_and_sum(f, seq, dim):
    torch.manual_seed(0)
    x = torch.zeros(seq, dim, requires_grad=True)
    f(x)[-1].sum().backward()
    return x.grad.norm(dim=1) > 0


def depends_sum_and_threshold(f, seq, dim):
    torch.manual_seed(0)
    x = torch.randn(seq, dim, requires_grad=True)
    f(x)[-1].sum().backward()
    return x.grad.norm(dim=1) > 1e-3


def depends_on_zeros(f, seq, dim):
    x = torch.zeros(seq, dim, requires_grad=True)
    (f(x)[-1] @ torch.randn(dim)).backward()
    return x.grad.norm(dim=1) > 0


def depends_by_sum(f, seq, dim):
    x = torch.randn(seq, dim, dtype=torch.float64, requires_grad=True)
    f(x)[-1].sum().backward()
    return x.grad.norm(dim=1) > 0


def depends_with_threshold(f, seq, dim):
    torch.manual_seed(0)
    x = torch.randn(seq, dim, requires_grad=True)
    (f(x)[-1] @ torch.randn(dim)).backward()
    return x.grad.norm(dim=1) > 1e-6


def depends_one_channel(f, seq, dim):
    x = torch.randn(seq, dim, requires_grad=True)
    f(x)[-1, 0].backward()
    return x.grad.norm(dim=1) > 0


def depends_by_one_input(f, seq, dim):
    x = torch.randn(seq, dim, dtype=torch.float64, requires_grad=True)
    (f(x)[-1] @ torch.randn(dim, dtype=torch.float64)).backward()
    return x.grad[:, 0] != 0


def depends_all_tokens(f, seq, dim):
    x = torch.randn(seq, dim, requires_grad=True)
    (f(x) @ torch.randn(dim)).sum().backward()
    return x.grad.norm(dim=1) > 0


def depends_always(f, seq, dim):
    return torch.ones(seq, dtype=torch.bool)


def depends_returns_sizes(f, seq, dim):
    x = torch.randn(seq, dim, requires_grad=True)
    (f(x)[-1] @ torch.randn(dim)).backward()
    return x.grad.norm(dim=1)


# --- 03.5 has_reach(model, n_layers, window) -------------------------------------------------


def judge_by_exchange(model, n_layers, window, lengths=None, rows=None, inside=True, outside=True):
    reach = n_layers * (window - 1)
    for seq in lengths or (reach + 1, reach + 6):
        x = torch.randn(seq, 4, dtype=torch.float64)
        before = model(x)
        for j in range(seq):
            other = x.clone()
            other[j] += 1
            changed = (model(other) != before).any(dim=1).tolist()
            for i in rows or range(seq):
                should = 0 <= i - j <= reach
                if changed[i] != should and (inside if should else outside):
                    return False
    return True


def judge_by_gradient(model, n_layers, window):
    seq = n_layers * (window - 1) + 8
    distance = torch.arange(seq)[:, None] - torch.arange(seq)
    should = (distance >= 0) & (distance <= n_layers * (window - 1))
    x = torch.randn(seq, 4, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(model, x)
    return bool((((jacobian != 0).any(dim=3).any(dim=1)) == should).all())


def judge_by_rows(model, n_layers, window):
    seq = 2 * n_layers * window + 3
    x = torch.randn(seq, 4, dtype=torch.float64, requires_grad=True)
    y = model(x) @ torch.randn(4, dtype=torch.float64)
    for i in range(seq):
        (gradient,) = torch.autograd.grad(y[i], x, retain_graph=True)
        found = gradient.abs().sum(dim=1).nonzero().flatten().tolist()
        if found != list(range(max(0, i - n_layers * (window - 1)), i + 1)):
            return False
    return True


def judge_always(model, n_layers, window):
    return True


def judge_never(model, n_layers, window):
    return False


def judge_by_poison(model, n_layers, window):
    reach = n_layers * (window - 1)
    seq = reach + 5
    for j in range(seq):
        x = torch.randn(seq, 4)
        x[j] = torch.nan
        touched = model(x).isnan().any(dim=1).tolist()
        if touched != [0 <= i - j <= reach for i in range(seq)]:
            return False
    return True


def judge_too_short(model, n_layers, window):
    return judge_by_exchange(model, n_layers, window, lengths=[n_layers * (window - 1) + 1])


def judge_last_row(model, n_layers, window):
    seq = n_layers * (window - 1) + 5
    return judge_by_exchange(model, n_layers, window, lengths=[seq], rows=[seq - 1])


def judge_edges(model, n_layers, window):
    reach = n_layers * (window - 1)
    x = torch.randn(reach + 5, 4, dtype=torch.float64)
    for i in range(reach, reach + 5):
        for distance in (reach, reach + 1):
            if i >= distance:
                other = x.clone()
                other[i - distance] += 1
                changed = bool((model(other)[i] != model(x)[i]).any())
                if changed != (distance == reach):
                    return False
    return True


def judge_outside(model, n_layers, window):
    return judge_by_exchange(model, n_layers, window, inside=False)


def judge_inside(model, n_layers, window):
    return judge_by_exchange(model, n_layers, window, outside=False)


def judge_past(model, n_layers, window):
    reach = n_layers * (window - 1)
    seq = reach + 5
    x = torch.randn(seq, 4, dtype=torch.float64)
    for j in range(seq):
        other = x.clone()
        other[j] += 1
        changed = (model(other) != model(x)).any(dim=1).tolist()
        if any(changed[i] != (i - j <= reach) for i in range(j, seq)):
            return False
    return True


def judge_count(model, n_layers, window):
    seq = n_layers * (window - 1) + 5
    x = torch.randn(seq, 4, dtype=torch.float64, requires_grad=True)
    (model(x)[-1] @ torch.randn(4, dtype=torch.float64)).backward()
    return int((x.grad != 0).any(dim=1).sum()) == n_layers * (window - 1) + 1


def judge_by_columns(model, n_layers, window):
    """Set a token to zero, the later ones first, in a text three tokens longer than the reach."""
    reach = n_layers * (window - 1)
    x = torch.randn(reach + 3, 4, dtype=torch.float64)
    before = model(x)
    for j in reversed(range(len(x))):
        other = torch.cat((x[:j], torch.zeros(1, 4, dtype=torch.float64), x[j + 1 :]))
        changed = (model(other) - before).abs().amax(dim=1) > 0
        if changed.nonzero().flatten().tolist() != list(range(j, min(len(x), j + reach + 1))):
            return False
    return True


def judge_some_tokens(model, n_layers, window):
    reach = n_layers * (window - 1)
    seq = reach + 6
    x = torch.randn(seq, 4, dtype=torch.float64)
    for j in (0, 1, 2, seq // 2, seq - 2, seq - 1):
        other = x.clone()
        other[j] += 1
        changed = (model(other) != model(x)).any(dim=1).tolist()
        if changed != [0 <= i - j <= reach for i in range(seq)]:
            return False
    return True


def judge_paper(model, n_layers, window):
    return judge_by_exchange(model, n_layers, window + 1)


def judge_returns_tensor(model, n_layers, window):
    return torch.ones(3, dtype=torch.bool)


# --- and of another class --------------------------------------------------------------------


def field_none_at_the_end(windows, position):
    return position + 1 if windows[-1] is None else field_skips_none(windows, position)


def layers_rounded(i, j, window):
    if j > i or (window == 1 and i > j):
        return -1
    return 0 if i == j else round((i - j) / (window - 1))


def layers_nearly_up(i, j, window):
    if j > i or (window == 1 and i > j):
        return -1
    return 0 if i == j else int((i - j) / (window - 1) + 0.999)


def reach_in_place(masks):
    known = torch.eye(len(masks[0]), dtype=torch.bool)
    for mask in masks:
        for i in range(len(mask)):
            for j in range(len(mask)):
                if mask[i, j]:
                    known[i] |= known[j]
    return known


def reach_in_32_bits(masks):
    eye = np.eye(len(masks[0]), dtype=np.int32)
    known = eye
    for mask in masks:
        known = (mask.numpy().astype(np.int32) | eye) @ known
    return known != 0


def depends_last_channel(f, seq, dim):
    x = torch.randn(seq, dim, requires_grad=True)
    f(x)[-1, -1].backward()
    return x.grad.norm(dim=1) > 0


RIGHT = {
    "03.1": [field_sum, field_walk, field_sets, field_tensor],
    "03.2": [layers_closed, layers_ceil, layers_loop, layers_numpy],
    "03.3": [reach_product, reach_loops, reach_downwards, reach_broadcast],
    "03.4": [depends_gradient, depends_single_precision, depends_jacobian, depends_exchange],
    "03.5": [judge_by_exchange, judge_by_gradient, judge_by_rows, judge_by_columns],
}

WRONG = {
    "03.1": [
        (field_adds_windows, "you add the windows up. Neighbouring"),
        (field_paper, "more tokens than there are"),
        (field_forgets_itself, "forget the token itself"),
        (field_without_beginning, "fewer tokens than a stack could reach"),
        (field_position, "counted from 0"),
        (field_first_window, "the first layer's window for all layers"),
        (field_largest, "the largest window alone"),
        (field_skips_none, "None means that it sees every earlier token"),
        (field_product, "you multiply the windows"),
        (field_none_breaks, "it raised TypeError"),
        (field_none_at_the_end, "expected:"),
    ],
    "03.2": [
        (layers_floor, "you round down. What is left"),
        (layers_by_window, "you divide by the window. A layer"),
        (layers_floor_by_window, "you divide by the window, and round down"),
        (layers_one_more, "even where the distance is a whole number of steps"),
        (layers_from_one, "a token knows itself before any layer"),
        (layers_both_ways, "later tokens are never reached"),
        (layers_negative, "right except for later tokens"),
        (layers_zero_ahead, "not 0 layers"),
        (layers_divides_by_zero, "it raised ZeroDivisionError"),
        (layers_rounded, "you round to the nearest number"),
        (layers_nearly_up, "expected:"),
    ],
    "03.3": [
        (reach_wrong_order, "the wrong way round"),
        (reach_without_residual, "the residual is missing"),
        (reach_first_mask, "the first mask for every layer"),
        (reach_last_mask, "the last mask for every layer"),
        (reach_union, "you join the masks"),
        (reach_intersection, "only pairs that every mask shows"),
        (reach_transposed, "rows and columns are swapped"),
        (reach_overflows, "outgrows 64 bits"),
        (reach_multiplies_truth, "multiplies matrices of numbers, not of truth values"),
        (reach_counts, "expected a mask of True and False"),
        (reach_in_place, "changes what it is still reading"),
        (reach_in_32_bits, "outgrows 64 bits"),
    ],
    "03.4": [
        (depends_as_given, "all three mistakes are still there"),
        (depends_zeros_and_sum, "still zeros, and at 0 a ReLU passes nothing on and a product is"),
        (depends_sum_and_threshold, "still added up"),
        (depends_on_zeros, "the states are still zeros"),
        (depends_by_sum, "the channels are still added up"),
        (depends_with_threshold, "a small derivative isn't none"),
        (depends_one_channel, "you read one channel"),
        (depends_all_tokens, "Do you read all tokens"),
        (depends_always, "depends on every token"),
        (depends_returns_sizes, "expected a mask of True and False"),
        (depends_last_channel, "you read one channel"),
        (depends_by_one_input, "first wrong place"),
    ],
    "03.5": [
        (judge_always, "accepts everything"),
        (judge_never, "rejects everything"),
        (judge_by_poison, "0 times NaN is NaN"),
        (judge_too_short, "not longer than the reach"),
        (judge_last_row, "the last token only"),
        (judge_edges, "the two edges of the reach only"),
        (judge_past, "depends on a later one"),
        (judge_outside, "it accepts models that reach less"),
        (judge_inside, "it accepts models that reach more"),
        (judge_count, "counts how many tokens matter"),
        (judge_some_tokens, "changes some tokens only"),
        (judge_paper, "has_reach(model, n_layers="),
        (judge_returns_tensor, "expected True or False"),
    ],
}
