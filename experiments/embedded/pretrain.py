"""Make the embedded backbone: a small BERT pretrained on the embedded corpus's own text.

Half of every batch is text with masked words, the other half pairs of sentences that are related or not (in place of
BERT's next-sentence prediction).

    python experiments/embedded/pretrain.py --out kdlab/models/embedded

writes the shipped folder again (vocabulary, configuration, float16 weights, model card).
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining, BertTokenizerFast

from kdlab.data.embedded import VERSION, generate, pretraining_pairs, pretraining_text
from kdlab.data.tasks import GLUE

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, CLS, SEP, MASK = 0, 2, 3, 4
CARD = Path(__file__).with_name("card.md")


def vocabulary(lines: list[str]) -> dict[str, int]:
    """Special tokens, every printable ASCII character alone and as a continuation, then the words by frequency."""
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    counts: Counter[str] = Counter()
    for line in lines:
        for mark in ",.?'\t":
            line = line.replace(mark, " ")
        counts.update(line.lower().split())
    words = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if len(word) > 1]
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters if letter.isalnum()), *words]
    return {piece: i for i, piece in enumerate(pieces)}


def corpus_lines(seed: int) -> list[str]:
    """Every sentence of every train split: the words the vocabulary must hold."""
    lines: list[str] = []
    for task in GLUE:
        train = generate(task, seed)["train"]
        lines += [*train.text, *(train.text_pair or ())]
    return lines


def encode(tokenizer: BertTokenizerFast, lines: list[str]) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids and token types of every line; a tab parts the two sentences of a pair."""
    parts = [line.split("\t") for line in lines]
    single = [i for i, part in enumerate(parts) if len(part) == 1]
    double = [i for i, part in enumerate(parts) if len(part) == 2]
    ids: list[list[int]] = [[] for _ in lines]
    types: list[list[int]] = [[] for _ in lines]
    for chosen in filter(None, (single, double)):
        columns = list(zip(*(parts[i] for i in chosen), strict=True))
        encoded = tokenizer(*(list(column) for column in columns), truncation=True, max_length=128)
        for i, line_ids, line_types in zip(chosen, encoded["input_ids"], encoded["token_type_ids"], strict=True):
            ids[i], types[i] = line_ids, line_types
    return ids, types


def padded(rows: list[list[int]]) -> torch.Tensor:
    """Rows as one tensor ``(B, T)``, filled with zeros."""
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


def mask_tokens(
    ids: torch.Tensor, types: torch.Tensor, rates: tuple[float, float], generator: torch.Generator, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide tokens for masked-language modelling.

    Of the chosen tokens 80 % become [MASK], 10 % another token of the same line or of the vocabulary, 10 % stay.

    Args:
        ids: Token ids ``(B, T)``.
        types: Token types ``(B, T)``.
        rates: Share of tokens chosen in the first and in the second sentence.
        generator: Source of chance.
        size: Vocabulary size.

    Returns:
        The changed ids ``(B, T)`` and which were chosen ``(B, T)``.
    """
    rate = torch.where(types == 1, rates[1], rates[0])
    chosen = (torch.rand(ids.shape, generator=generator) < rate) & (ids != PAD) & (ids != CLS) & (ids != SEP)
    fate = torch.rand(ids.shape, generator=generator)
    lengths = (ids != PAD).sum(1, keepdim=True)
    positions = (torch.rand(ids.shape, generator=generator) * lengths).long()
    other = ids.gather(1, positions)
    other = torch.where((other == CLS) | (other == SEP), torch.randint(5, size, ids.shape, generator=generator), other)
    changed = torch.where(chosen & (fate < 0.8), MASK, ids)
    return torch.where(chosen & (fate >= 0.8) & (fate < 0.9), other, changed), chosen


@dataclass
class Rows:
    """Encoded lines: token ids, token types, and 1 for a related pair, 0 for another, -1 for text to mask."""

    ids: list[list[int]]
    types: list[list[int]]
    related: list[int]


def losses(
    model: BertForPreTraining, rows: Rows, chosen: list[int], rates: tuple[float, float], generator: torch.Generator
) -> tuple[torch.Tensor, tuple[float, float]]:
    """Cross-entropy at masked tokens of the text plus that of the pairs' relation, and both accuracies."""
    ids, types = padded([rows.ids[i] for i in chosen]), padded([rows.types[i] for i in chosen])
    related = torch.tensor([rows.related[i] for i in chosen])
    text = related < 0
    changed, masked = mask_tokens(ids, types, rates, generator, model.config.vocab_size)
    masked &= text[:, None]
    changed = torch.where(text[:, None], changed, ids)
    hidden, pooled = model.bert(input_ids=changed, token_type_ids=types, attention_mask=(ids != PAD).long())[:2]
    scores = model.cls.predictions(hidden[masked])  # (M, V): scores are computed for masked tokens alone
    answers = model.cls.seq_relationship(pooled[~text])  # (P, 2)
    words = F.cross_entropy(scores, ids[masked], reduction="sum") / max(1, int(masked.sum()))
    pairs = F.cross_entropy(answers, related[~text], reduction="sum") / max(1, int((~text).sum()))
    right = (scores.argmax(1) == ids[masked]).float().mean().item()
    told = (answers.argmax(1) == related[~text]).float().mean().item() if bool((~text).any()) else 0.5
    return words + pairs, (right, told)


def batches(lengths: list[int], size: int, generator: torch.Generator) -> list[list[int]]:
    """Positions in batches of similar length, in random order."""
    noise = torch.rand(len(lengths), generator=generator).tolist()
    order = sorted(range(len(lengths)), key=lambda i: lengths[i] + 2 * noise[i])
    rows = [order[i : i + size] for i in range(0, len(order) - size + 1, size)]
    return [rows[i] for i in torch.randperm(len(rows), generator=generator).tolist()]


@torch.no_grad()
def masked_accuracy(
    model: BertForMaskedLM | BertForPreTraining, tokenizer: BertTokenizerFast, lines: list[str], seed: int = 0
) -> float:
    """Share of masked tokens (15 %) that the model gets right, over all lines."""
    ids, types = encode(tokenizer, lines)
    generator = torch.Generator().manual_seed(seed)
    model.eval()
    right = total = 0.0
    for start in range(0, len(ids), 64):
        batch = padded(ids[start : start + 64])
        kinds = padded(types[start : start + 64])
        changed, chosen = mask_tokens(batch, kinds, (0.15, 0.15), generator, model.config.vocab_size)
        mask = (batch != PAD).long()
        hidden = model.bert(input_ids=changed, token_type_ids=kinds, attention_mask=mask)[0]
        right += float((model.cls.predictions(hidden[chosen]).argmax(1) == batch[chosen]).sum())
        total += float(chosen.sum())
    return right / total


def make_rows(tokenizer: BertTokenizerFast, lines: list[str], pairs: list[tuple[str, bool]]) -> Rows:
    """Text and pairs as one pool."""
    ids, types = encode(tokenizer, [*lines, *(line for line, _ in pairs)])
    return Rows(ids, types, [-1] * len(lines) + [int(related) for _, related in pairs])


@torch.no_grad()
def start(model: BertForPreTraining) -> None:
    """Weights to start from: like attends to like, half of the heads across sentences, and what is found is taken away.

    After "Mimetic Initialization of Self-Attention Layers" (Trockman & Kolter 2023, https://arxiv.org/abs/2305.09828):
    keys equal queries and the output undoes the values. Without it a model this small needs far more text to find out
    whether a word of the second sentence is in the first. Positions start as sines and cosines.
    """
    embeddings, width = model.bert.embeddings, model.config.hidden_size
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(1000.0) / width))
    angles = torch.arange(model.config.max_position_embeddings)[:, None] * rates
    embeddings.position_embeddings.weight.copy_(torch.cat([angles.sin(), angles.cos()], dim=1) * 0.05)
    embeddings.token_type_embeddings.weight.mul_(2)
    embeddings.word_embeddings.weight.mul_(2)
    across = embeddings.token_type_embeddings.weight[1] - embeddings.token_type_embeddings.weight[0]
    across /= across.norm()
    mirror = torch.eye(width) - 2 * across[:, None] * across[None]
    for layer in model.bert.encoder.layer:
        own, half = layer.attention.self, width // 2
        own.query.weight.normal_(std=0.1)
        own.key.weight.copy_(own.query.weight)
        own.key.weight[:half] = own.query.weight[:half] @ mirror
        own.value.weight.normal_(std=width**-0.5)
        layer.attention.output.dense.weight.copy_(-own.value.weight.T)


def new_model(arguments: argparse.Namespace, size: int) -> BertForPreTraining:
    """An untrained BERT."""
    config = BertConfig(
        vocab_size=size,
        hidden_size=arguments.width,
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.heads,
        intermediate_size=arguments.intermediate,
        max_position_embeddings=128,
        hidden_dropout_prob=arguments.dropout,
        attention_probs_dropout_prob=arguments.dropout,
        pad_token_id=PAD,
        initializer_range=0.05,
    )
    model = BertForPreTraining(config)
    start(model)
    return model


def pretrain(arguments: argparse.Namespace) -> None:
    """Write the folder: vocabulary, tokenizer, pretrained weights, card."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    started = time.monotonic()
    lines, pairs = pretraining_text(arguments.seed), pretraining_pairs(arguments.seed)
    held, lines = lines[-1000:], lines[:-1000]
    vocab = vocabulary(corpus_lines(arguments.seed) + lines)
    tokenizer = BertTokenizerFast(vocab=vocab, do_lower_case=True, model_max_length=128)
    model = new_model(arguments, len(vocab))
    rows = make_rows(tokenizer, lines, pairs)
    print(f"{len(rows.ids)} rows, {len(vocab)} pieces, {model.num_parameters()} parameters", flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    warm = arguments.steps // 20

    def rate(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, arguments.steps - warm)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    generator = torch.Generator().manual_seed(arguments.seed)
    lengths = list(map(len, rows.ids))
    plan: list[list[int]] = []
    window: list[tuple[float, float, float]] = []
    model.train()
    for step in range(1, arguments.steps + 1):
        plan = plan or batches(lengths, arguments.batch, generator)
        loss, (right, told) = losses(model, rows, plan.pop(), (arguments.first_rate, arguments.second_rate), generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        window.append((loss.item(), right, told))
        if step % 200 == 0:
            means = [sum(column) / len(window) for column in zip(*window, strict=True)]
            minutes = (time.monotonic() - started) / 60
            print(
                f"step {step}: loss {means[0]:.3f}, masked {means[1]:.3f}, pairs {means[2]:.3f}, {minutes:.1f} min",
                flush=True,
            )
            window = []
        if step % 1000 == 0 or step == arguments.steps:
            save(model, tokenizer, arguments, step, masked_accuracy(model, tokenizer, held))
            model.train()


def save(
    model: BertForPreTraining, tokenizer: BertTokenizerFast, arguments: argparse.Namespace, step: int, accuracy: float
) -> None:
    """Write weights in float16, configuration, tokenizer and card."""
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    half = BertForPreTraining(model.config)
    half.load_state_dict(model.state_dict())
    half.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    facts = {
        "layers": arguments.layers,
        "width": arguments.width,
        "heads": arguments.heads,
        "intermediate": arguments.intermediate,
        "vocabulary": model.config.vocab_size,
        "parameters": f"{model.num_parameters():,}",
        "seed": arguments.seed,
        "steps": step,
        "batch": arguments.batch,
        "lr": arguments.lr,
        "first_rate": f"{arguments.first_rate:.0%}",
        "second_rate": f"{arguments.second_rate:.0%}",
        "version": VERSION,
        "accuracy": f"{accuracy:.3f}",
        "command": "python experiments/embedded/pretrain.py --out kdlab/models/embedded",
    }
    card: str = arguments.card
    for name, value in facts.items():
        card = card.replace(f"{{{name}}}", str(value))
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(f"step {step}: held-out masked accuracy {accuracy:.3f}; written to {folder}", flush=True)


def main() -> None:
    """Read the command line and pretrain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--intermediate", type=int, default=512)
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=6e-4)
    parser.add_argument("--dropout", type=float, default=0.0, help="stays in the configuration for fine-tuning")
    parser.add_argument("--first-rate", type=float, default=0.08, help="share of masked tokens, first sentence")
    parser.add_argument("--second-rate", type=float, default=0.25, help="share of masked tokens, second sentence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    arguments.card = CARD.read_text(encoding="utf-8")
    pretrain(arguments)


if __name__ == "__main__":
    main()
