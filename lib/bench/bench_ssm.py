"""Mamba reading and writing, against transformers and mambapy; scans against each other.

The models have the shape of mamba-130m and share one set of random weights. Everyone computes the
logits of the last position only, and is asked for them without gradients.
"""

import tempfile
from collections.abc import Callable

import torch
from torch import Tensor, nn

import mixlab
from bench.models import random_tokens
from bench.row import Contest, Peer, Row, Size, largest_difference, require
from mixlab.compiled import compiled
from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba import Mamba
from mixlab.ssm.scan import linear_recurrence
from mixlab.ssm.selective_scan import selective_scan

# As the published mamba-130m.
SHAPE = dict(hidden_size=768, num_hidden_layers=24, vocab_size=50_280)
TINY = dict(hidden_size=32, num_hidden_layers=2, vocab_size=64)
# Peers' parallel forms lose to their sequential ones here already, and hold every state in memory.
LONGEST_PARALLEL = 1024


def models(size: Size) -> tuple[nn.Module, nn.Module]:
    """Our Mamba and transformers', with the same random weights, in evaluation mode."""
    require("transformers", "mambapy")
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    torch.manual_seed(0)
    shape = TINY if size == "tiny" else SHAPE
    # The library's default of 0.1 makes blocks that magnify rounding a hundred times over.
    config = transformers.MambaConfig(
        **shape, initializer_range=0.02, rescale_prenorm_residual=True
    )
    theirs = transformers.MambaForCausalLM(config).eval().requires_grad_(False)
    # Logits of size 1, in which an error would show.
    theirs.backbone.embeddings.weight.normal_(std=config.hidden_size**-0.5)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = mixlab.load(folder, dtype=torch.float32)
    # Copies in memory: files are gone when they are first read.
    ours.load_state_dict({k: v.clone() for k, v in ours.state_dict().items()}, assign=True)
    ours.output.weight = ours.tok_embeddings.weight
    return ours.requires_grad_(False), theirs


def in_mambapy(ours: nn.Module, pscan: bool = True) -> nn.Module:
    """mambapy's stack of blocks with our layers' weights, which it calls by the same names."""
    from mambapy.mamba import Mamba, MambaConfig

    config = ours.config
    stack = Mamba(MambaConfig(d_model=config.dim, n_layers=config.n_layers, pscan=pscan))
    stack.load_state_dict(ours.layers.state_dict(prefix="layers."))
    return stack.eval().requires_grad_(False)


def prefill(length: int):
    """The `setup` of a row that reads `length` tokens."""

    def setup(size: Size) -> Contest:
        seq = {"full": length, "quick": length // 4, "tiny": 12}[size]
        ours, theirs = models(size)
        tokens = random_tokens(seq, ours.config.vocab_size)

        def transformers(use_mambapy: bool) -> Tensor:
            for layer in theirs.backbone.layers:
                layer.mixer.use_mambapy = use_mambapy
            with torch.inference_mode():
                return theirs(tokens, use_cache=True, logits_to_keep=1).logits[:, -1]

        def mambapy(stack: nn.Module) -> Tensor:
            with torch.inference_mode():
                last = stack(ours.tok_embeddings(tokens))[:, -1]
                return ours.output(ours.norm(last))

        peers = [Peer("transformers", lambda: transformers(False), "sequential")]
        forms = [("sequential", False)]
        if length <= LONGEST_PARALLEL:
            peers.append(Peer("transformers", lambda: transformers(True), "use_mambapy"))
            forms.append(("parallel", True))
        for name, pscan in forms:
            stack = in_mambapy(ours, pscan)
            peers.append(Peer("mambapy", lambda stack=stack: mambapy(stack), name))
        return Contest(
            ours=lambda: ours.prefill(tokens)[0],
            peers=peers,
            check=lambda: max(
                largest_difference(ours.prefill(tokens)[0], peer.run()) for peer in peers
            ),
            note=f"{seq:,} tokens, {describe(ours.config)}.",
            operations=2 * (seq * layer_weights(ours) + ours.output.weight.numel()),
        )

    return setup


def decode(size: Size) -> Contest:
    """One token at a time after a prompt; everyone gets the same tokens."""
    n_prompt, n_tokens = {"full": (64, 16), "quick": (16, 8), "tiny": (5, 3)}[size]
    ours, theirs = models(size)
    tokens = random_tokens(n_prompt + n_tokens, ours.config.vocab_size)
    prompt, following = tokens[:, :n_prompt], tokens[:, n_prompt:]
    _, state = ours.prefill(prompt)
    stack, fast = in_mambapy(ours), compiled(ours)

    def run() -> Tensor:
        here, steps = state, []
        for token in following.T:
            logits, here = fast.step(token, here)
            steps.append(logits)
        return torch.cat(steps)

    def transformers(n_first: int) -> Callable[[], Tensor]:
        """Its cache can't be wound back, so every call goes on; `check` starts a new one."""
        with torch.inference_mode():
            cache = theirs(prompt[:, :n_first], use_cache=True).cache_params

        def steps() -> Tensor:
            with torch.inference_mode():
                outputs = [theirs(t[None], cache_params=cache).logits[:, -1] for t in following.T]
            return torch.cat(outputs)

        return steps

    def mambapy() -> Tensor:
        config = ours.config
        caches = [(None, torch.zeros(1, config.d_inner, config.d_conv - 1)) for _ in stack.layers]
        steps = []
        with torch.inference_mode():
            for token in following.T:
                x, caches = stack.step(ours.tok_embeddings(token), caches)
                steps.append(ours.output(ours.norm(x)))
        return torch.cat(steps)

    def check() -> float:
        from_nothing = ours(following)[0]
        return max(
            largest_difference(run(), transformers(n_prompt)()),
            largest_difference(from_nothing, mambapy()),
        )

    return Contest(
        ours=run,
        peers=[
            Peer("transformers", transformers(n_prompt), "cached"),
            Peer("mambapy", mambapy, "step"),
        ],
        check=torch.no_grad()(check),
        note=f"{n_tokens} tokens after {n_prompt}, {describe(ours.config)}.",
        bytes_read=n_tokens * 4 * (layer_weights(ours) + ours.output.weight.numel()),
    )


def layer_weights(model: nn.Module) -> int:
    """Numbers in the matrices of all blocks, which every token is multiplied by."""
    return sum(p.numel() for name, p in model.layers.named_parameters() if "proj.weight" in name)


def memory(size: Size) -> Contest:
    """Bytes of state after a long context against a short one."""
    short, long = {"full": (4096, 65_536), "quick": (1024, 8192), "tiny": (32, 64)}[size]
    torch.manual_seed(0)
    model = Mamba(MambaConfig.tiny()).eval()
    tokens = random_tokens(long, model.config.vocab_size)

    def held(context: int) -> int:
        return model.prefill(tokens[:, :context])[1].n_bytes

    def check() -> float:
        """The last logits of a prompt in two parts and whole."""
        _, state = model.prefill(tokens[:, : short // 3])
        logits, _ = model.prefill(tokens[:, short // 3 : short], state)
        return largest_difference(logits, model.prefill(tokens[:, :short])[0])

    return Contest(
        ours=lambda: held(long),
        peers=[Peer("itself", lambda: held(short), f"after {short:,} tokens")],
        check=check,
        note=f"History and states after {long:,} tokens.",
    )


def scans(length: int):
    """The `setup` of a row that scans one layer's recurrence with every method."""

    def setup(size: Size) -> Contest:
        seq = {"full": length, "quick": length // 4, "tiny": 20}[size]
        d_inner, d_state = (16, 4) if size == "tiny" else (256, 16)
        torch.manual_seed(0)
        u, delta = torch.randn(1, seq, d_inner), torch.rand(1, seq, d_inner) * 0.1
        B, C = torch.randn(2, 1, seq, d_state)
        A = -torch.arange(1.0, d_state + 1).expand(d_inner, d_state)

        def general(method: str, chunk_size: int | None = None) -> Tensor:
            """Discretise, scan the whole (batch, seq, d_inner, d_state), read out."""
            A_bar = torch.exp(delta[..., None] * A)
            driven = (delta * u)[..., None] * B[:, :, None]
            h = linear_recurrence(A_bar, driven, None, method, chunk_size)
            return (h @ C[..., None])[..., 0]

        def ours() -> Tensor:
            return selective_scan(u, delta, A, B, C)[0]

        ways = [("sequential", None), ("hillis_steele", None), ("blelloch", None), ("chunked", 64)]
        peers = [Peer(method, lambda way=(method, chunk): general(*way)) for method, chunk in ways]
        return Contest(
            ours=torch.no_grad()(ours),
            peers=peers,
            check=lambda: max(largest_difference(ours(), peer.run()) for peer in peers),
            note=f"{seq:,} tokens, {d_inner} channels, d_state {d_state}; ours is the cache-sized "
            "selective scan.",
        )

    return setup


def describe(config: MambaConfig) -> str:
    """The numbers of a configuration that say how large a model is.

    >>> describe(MambaConfig.tiny())
    'dim 64, 2 layers, d_state 8, vocabulary 256'
    """
    return (
        f"dim {config.dim}, {config.n_layers} layers, d_state {config.d_state}, "
        f"vocabulary {config.vocab_size:,}"
    )


ROWS = [
    *(
        Row(
            f"mamba_prefill_{length}",
            f"Mamba reads {length:,} tokens",
            {"transformers": 3.0, "mambapy": 2.5},
            prefill(length),
        )
        for length in (1024, 4096)
    ),
    Row("mamba_decode", "Mamba writes, batch 1", {"transformers": 2.0}, decode),
    Row(
        "mamba_memory",
        "memory of a Mamba does not grow with the context",
        {"itself": 1.0},
        memory,
        unit="bytes",
    ),
    *(
        Row(f"scan_{length}", f"scans of {length:,} tokens", {}, scans(length))
        for length in (256, 1024, 4096)
    ),
]
