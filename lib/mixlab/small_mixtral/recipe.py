"""How the small Mixtral is trained: its tokenizer, its shape, its loss, its batches.

Sources: "Mixtral of Experts" (2024), section 2, for the architecture; Fedus et al., "Switch
Transformers" (2021), section 2.2, for the balance loss; Zoph et al., "ST-MoE" (2022), section 3.3,
for the z-loss; Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units"
(2016), section 3.2, for byte-pair encoding.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn

from mixlab.common.training import TrainingConfig, train
from mixlab.small_mixtral.corpus import KINDS, documents
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer, next_token_loss
from mixlab.transformer.router_losses import load_balancing_loss, router_z_loss
from mixlab.transformer.sparse_moe import router_logits
from mixlab.weights import save

START = "<s>"  # stands before every document
CONFIG = TransformerConfig(
    dim=128,
    n_layers=6,
    n_heads=4,
    n_kv_heads=2,
    head_dim=32,
    hidden_dim=128,
    vocab_size=2048,
    n_experts=8,
    experts_per_token=2,
    tie_embeddings=True,
    max_seq=1024,
)
TRAINING = TrainingConfig(steps=2400, learning_rate=4e-3, warmup=200, final=0.05)
SEED = 0
SEQ = 256  # tokens in a stretch; a batch has one of each kind
BALANCE = 0.01  # weight of the balance loss, which is k when experts are used evenly
Z_LOSS = 0.001


def train_tokenizer(texts: Sequence[str], vocab_size: int = CONFIG.vocab_size) -> Tokenizer:
    """Byte-pair encoding on bytes, trained on `texts`; digits stand alone, as in Mistral's.

    >>> train_tokenizer(["to be or not to be"] * 9, vocab_size=270).encode("to be 42").tokens
    ['to', 'Ġbe', 'Ġ', '4', '2']
    """
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    return trained


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Int[Tensor, " n"]:
    """Documents end to end, each after a start token."""
    start = tokenizer.token_to_id(START)
    ids = []
    for encoded in tokenizer.encode_batch(list(texts)):
        ids += [start, *encoded.ids]
    return torch.tensor(ids)


def batches(
    kinds: Sequence[Int[Tensor, " _"]], generator: torch.Generator
) -> Iterator[Int[Tensor, "batch seq"]]:
    """Endless batches of one random stretch of every kind, so that no kind outweighs another."""
    while True:
        first = [int(torch.randint(len(t) - SEQ + 1, (), generator=generator)) for t in kinds]
        yield torch.stack([t[at : at + SEQ] for t, at in zip(kinds, first, strict=True)])


def loss(model: nn.Module, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, ""]:
    """Next-token loss, with the two losses of the router."""
    with router_logits(model) as layers:
        logits = model(tokens)
    routed = torch.stack(layers).flatten(1, 2)  # (layers, tokens, experts)
    balance = load_balancing_loss(routed, CONFIG.experts_per_token)
    return next_token_loss(logits, tokens) + BALANCE * balance + Z_LOSS * router_z_loss(routed)


def fit(
    folder: Path, seed: int = SEED, training: TrainingConfig = TRAINING, progress: bool = True
) -> list[float]:
    """Train from scratch, or go on where an earlier run in `folder` stopped, and save the model.

    Args:
        folder: gets tokenizer.json, checkpoint.safetensors while training, then config.json and
            model.safetensors, in float16.
        seed: of the first weights and of the batches.
        training: how long and how fast.
        progress: show a progress bar.

    Returns:
        The loss of every step, in nats a token, with the router's losses.

    Raises:
        ValueError: if the folder holds a run with other numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = [documents(kind) for kind in KINDS]
    tokenizer = train_tokenizer([text for kind in texts for text in kind])
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = [encode(tokenizer, kind) for kind in texts]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Transformer(CONFIG)
    generator = torch.Generator().manual_seed(seed)
    losses = train(
        model,
        loss,
        batches(tokens, generator),
        training,
        generator=generator,
        checkpoint=folder / "checkpoint.safetensors",
        progress=progress,
    )
    save(model.half(), folder)
    return losses
