"""The hand-written loops of the methods that read hidden layers or perturb embeddings; see ``reference``.

``losses_of`` gives each by name. Encoders are BERTs of one width and number of heads, as in ``world``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from experiments.benchmarks.reference import Loss

Kept = dict[tuple[str, int], torch.Tensor]
# name in the table: kdlab's method, its settings, and what it needs besides the student
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ad2": ("ad2", {"deep_kd": False}),
    "ad2, own pass": ("ad2", {"deep_kd": False, "init_std": 1e-3}),
    "ad2, deep kd": ("ad2", {}),
    "kd, deep kd": ("ad2", {"adversarial": False}),
    "kd, online teacher": ("ad2", {"adversarial": False}),  # the reference alone: kdlab's kd reads cached logits
    "pkd": ("pkd", {}),
    "tinybert_kd": ("tinybert_kd", {}),
}
ONLY_REFERENCE = frozenset({"kd, online teacher"})


class Watch:
    """Keeps hidden states, queries and keys of chosen layers from the last pass of a BERT; set once."""

    def __init__(self, model: Any, states: tuple[int, ...], layers: tuple[int, ...]) -> None:
        self.kept: Kept = {}
        bert = model.bert
        for n in states:
            self._keep(bert.embeddings if n == 0 else bert.encoder.layer[n - 1], ("hidden", n))
        for n in layers:
            own = bert.encoder.layer[n - 1].attention.self
            self._keep(own.query, ("query", n))
            self._keep(own.key, ("key", n))

    def _keep(self, module: torch.nn.Module, name: tuple[str, int]) -> None:
        module.register_forward_hook(lambda _, __, out: self.kept.update({name: out[0] if type(out) is tuple else out}))

    def taken(self) -> Kept:
        """What the last pass left."""
        kept, self.kept = self.kept, {}
        return kept


def soft(student: torch.Tensor, teacher: torch.Tensor, t: float = 1.0) -> torch.Tensor:
    """``t²·KL``."""
    log_p, log_q = F.log_softmax(student.float() / t, -1), F.log_softmax(teacher.float() / t, -1)
    return t * t * F.kl_div(log_p, log_q, reduction="batchmean", log_target=True)


def scores(kept: Kept, n: int, heads: int) -> torch.Tensor:
    """``q·kᵀ/√d``, ``(B, H, T, T)``."""
    q, k = (kept[name, n].float().unflatten(-1, (heads, -1)).transpose(1, 2) for name in ("query", "key"))
    return q @ k.transpose(2, 3) / q.shape[-1] ** 0.5


def features(ours: Kept, theirs: Kept, pairs: tuple[tuple[int, int], ...], mask: torch.Tensor) -> torch.Tensor:
    """Squared error of hidden states over each example's tokens, summed over layers."""
    share = mask.float() / mask.sum(1, keepdim=True) / len(mask)
    parts = []
    for n, m in pairs:
        gap = (ours["hidden", m].float() - theirs["hidden", n].float()).square().mean(-1)
        parts.append((gap * share).sum())
    return torch.stack(parts).sum()


def attention(
    ours: Kept, theirs: Kept, pairs: tuple[tuple[int, int], ...], mask: torch.Tensor, heads: int, maps: bool
) -> torch.Tensor:
    """KL of maps, or squared error of scores, over tokens, summed over layers."""
    keep = mask.float()
    both = keep[:, None, :, None] * keep[:, None, None, :]
    parts = []
    for n, m in pairs:
        a, b = scores(ours, m, heads), scores(theirs, n, heads)
        if maps:
            padding = mask[:, None, None, :] == 0
            log_p, log_q = (F.log_softmax(x.masked_fill(padding, -1e4), -1) for x in (a, b))
            gap = F.kl_div(log_p, log_q, reduction="none", log_target=True) * both
            parts.append((gap.mean(1).sum((1, 2)) / mask.sum(1)).mean())
        else:
            parts.append((((a - b).square() * both).mean(1).sum((1, 2)) / mask.sum(1).square()).mean())
    return torch.stack(parts).sum()


def pass_of(model: Any, batch: Any) -> torch.Tensor:
    """Logits on the clean batch."""
    return model(batch.input_ids, batch.attention_mask, batch.token_type_ids).logits  # type: ignore[no-any-return]


def online_kd_loss(student: Any, teacher: Any) -> Loss:
    """CE and soft targets of a teacher that reads every batch."""

    def loss(batch: Any, step: int) -> torch.Tensor:
        with torch.no_grad():
            target = pass_of(teacher, batch)
        logits = pass_of(student, batch).float()
        return F.cross_entropy(logits, batch.labels) + soft(logits, target)

    return loss


def pkd_loss(student: Any, teacher: Any, alpha: float = 0.5, t: float = 5.0, beta: float = 100.0) -> Loss:
    """CE, soft targets and normalised ``[CLS]`` states, the student's last layer left out."""
    depth, depths = student.config.num_hidden_layers, teacher.config.num_hidden_layers
    pairs = tuple((m * depths // depth, m) for m in range(1, depth))
    ours, theirs = Watch(student, tuple(m for _, m in pairs), ()), Watch(teacher, tuple(n for n, _ in pairs), ())

    def loss(batch: Any, step: int) -> torch.Tensor:
        with torch.no_grad():
            target = pass_of(teacher, batch)
        logits = pass_of(student, batch).float()
        a, b = ours.taken(), theirs.taken()
        states = [(a["hidden", m][:, 0].float(), b["hidden", n][:, 0].float()) for n, m in pairs]
        patience = sum(F.mse_loss(F.normalize(x, dim=-1), F.normalize(y, dim=-1)) for x, y in states)
        return (1 - alpha) * F.cross_entropy(logits, batch.labels) + alpha * soft(logits, target, t) + beta * patience

    return loss


def tinybert_loss(student: Any, teacher: Any) -> Loss:
    """The layers' phase: hidden states with the embeddings, and attention scores."""
    depth, depths = student.config.num_hidden_layers, teacher.config.num_hidden_layers
    pairs = tuple((m * depths // depth, m) for m in range(1, depth + 1))
    states = ((0, 0), *pairs)
    ours = Watch(student, tuple(m for _, m in states), tuple(m for _, m in pairs))
    theirs = Watch(teacher, tuple(n for n, _ in states), tuple(n for n, _ in pairs))
    heads = student.config.num_attention_heads

    def loss(batch: Any, step: int) -> torch.Tensor:
        with torch.no_grad():
            pass_of(teacher, batch)
        pass_of(student, batch)
        a, b, mask = ours.taken(), theirs.taken(), batch.attention_mask
        return features(a, b, states, mask) + attention(a, b, pairs, mask, heads, maps=False)

    return loss


def ad2_loss(
    student: Any,
    logits: torch.Tensor | None,
    teacher: Any = None,
    ball: tuple[float, float] = (1.0, 1.0),
    noise: Callable[[torch.Tensor, int], torch.Tensor] | None = None,
    adversarial: bool = True,
    weight: float = 0.1,
) -> Loss:
    """AD² with one step of ascent in an L2 ball.

    Args:
        student: A BERT.
        logits: The teacher's, stored; None with deep KD.
        teacher: For deep KD.
        ball: Step and radius.
        noise: Where the ascent starts, of the mask and the number of the step; None starts at 0 and shares the clean
            pass.
        adversarial: Whether there is an ascent at all.
        weight: Of deep KD's two losses.
    """
    depth, heads = student.config.num_hidden_layers, student.config.num_attention_heads
    pairs = tuple((m * (teacher.config.num_hidden_layers if teacher else 0) // depth, m) for m in range(1, depth + 1))
    ours = theirs = None
    if teacher:
        ours = Watch(student, tuple(m for _, m in pairs), tuple(m for _, m in pairs))
        theirs = Watch(teacher, tuple(n for n, _ in pairs), tuple(n for n, _ in pairs))
    shift: list[torch.Tensor | None] = [None]
    norm = student.bert.embeddings.LayerNorm
    norm.register_forward_pre_hook(lambda _, inputs: None if shift[0] is None else (inputs[0] + shift[0],))

    def run(batch: Any, delta: torch.Tensor | None) -> torch.Tensor:
        shift[0] = delta
        out = pass_of(student, batch)
        shift[0] = None
        return out

    def deep(mask: torch.Tensor, b: Kept | None) -> torch.Tensor | float:
        if ours is None or b is None:
            return 0.0
        a = ours.taken()
        both = features(a, b, pairs, mask) + attention(a, b, pairs, mask, heads, maps=True)
        return weight * both / len(pairs)

    def loss(batch: Any, step: int) -> torch.Tensor:
        mask, states = batch.attention_mask, None
        if theirs is None:
            target = logits[batch.index]  # type: ignore[index]
        else:
            with torch.no_grad():
                target = pass_of(teacher, batch)
            states = theirs.taken()
        delta = None
        if adversarial:
            shape = (*mask.shape, student.config.hidden_size)
            delta = (torch.zeros(shape) if noise is None else noise(mask, step)).requires_grad_()
        out = run(batch, delta if noise is None else None)
        kd = soft(out, target)
        total = F.cross_entropy(out.float(), batch.labels) + kd + deep(mask, states)
        if delta is None:
            return total
        climbed = kd if noise is None else soft(run(batch, delta), target)
        (g,) = torch.autograd.grad(climbed * len(batch.labels), delta, retain_graph=noise is None)
        with torch.no_grad():
            delta = delta + ball[0] * g / g.flatten(1).norm(dim=1).clamp_min(1e-38)[:, None, None]
            delta = delta * (ball[1] / delta.flatten(1).norm(dim=1).clamp_min(1e-38)).clamp_max(1.0)[:, None, None]
        return total + soft(run(batch, delta), target) + deep(mask, states)

    return loss


def start_noise(width: int, std: float, radius: float, seed: int) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """The noise that kdlab draws in a step of the first epoch."""
    from kdlab.methods.shared.randomness import seed_from

    def noise(mask: torch.Tensor, step: int) -> torch.Tensor:
        draw = torch.Generator().manual_seed(seed_from(f"{seed}/train/{step}/{step}"))
        delta = std * torch.randn(*mask.shape, width, generator=draw) * mask[..., None]
        return delta * (radius / delta.flatten(1).norm(dim=1)).clamp_max(1.0)[:, None, None]

    return noise


def losses_of(name: str, student: Any, teacher: Any, logits: torch.Tensor, seed: int) -> Loss:
    """The loop of a case in ``CASES``.

    Args:
        name: In ``CASES``.
        student: A BERT classifier.
        teacher: A BERT classifier in eval mode.
        logits: The teacher's stored ones, ``(N, C)``.
        seed: Of the run, for what is drawn in it.
    """
    from kdlab.methods.ad2 import AD2Config

    ball = AD2Config().ball
    sizes, width = (ball.step_size, ball.epsilon), student.config.hidden_size
    makers: dict[str, Callable[[], Loss]] = {
        "ad2": lambda: ad2_loss(student, logits, ball=sizes),
        "ad2, own pass": lambda: ad2_loss(
            student, logits, ball=sizes, noise=start_noise(width, 1e-3, ball.epsilon, seed)
        ),
        "ad2, deep kd": lambda: ad2_loss(student, None, teacher, sizes),
        "kd, deep kd": lambda: ad2_loss(student, None, teacher, adversarial=False),
        "kd, online teacher": lambda: online_kd_loss(student, teacher),
        "pkd": lambda: pkd_loss(student, teacher),
        "tinybert_kd": lambda: tinybert_loss(student, teacher),
    }
    return makers[name]()
