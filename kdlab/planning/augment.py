"""What an augmentation is made of, decided before anything is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kdlab.augmentation import load_augmenter
from kdlab.augmentation.back_translation import TRANSLATORS, check_given
from kdlab.augmentation.base import Augmenter, Settings, Source
from kdlab.augmentation.cbert import LABELLED_LM
from kdlab.augmentation.contextual import MASKED_LM
from kdlab.augmentation.tinybert import COPIES, OTHER_COPIES
from kdlab.config.sections import take_sections
from kdlab.data.examples import Examples
from kdlab.data.sources import Hub
from kdlab.data.subset import limit
from kdlab.data.tasks import TRAIN
from kdlab.errors import KdlabError
from kdlab.models.encoder import usable_positions
from kdlab.models.generator import check_mask_token
from kdlab.planning.backbone import open_checkpoint
from kdlab.planning.generator import GeneratorPlan, labelled_key, plan_head
from kdlab.planning.plan import Plan, make_plan
from kdlab.system.cache import Cache
from kdlab.system.files import files_digest, fingerprint
from kdlab.transformations.translation import CommandTranslator, find_model

TRANSLATED = "back_translation"
SIDES = ("text", "pair", "both")


@dataclass
class MaskedLMSettings(Settings):
    """The masked LM that augmenters share.

    Attributes:
        source: A folder, a name on the hub, or ``embedded``; None takes the teacher's checkpoint.
        head_steps: Steps in which a head is trained on the task's text where that comes without one.
        label_steps: Steps in which ``cbert``'s masked LM learns the labels.
    """

    source: str | None = None
    head_steps: int = 1000
    label_steps: int = 1000

    def validate(self, section: str) -> None:
        """See ``Settings.validate``."""
        for name in ("head_steps", "label_steps"):
            if getattr(self, name) < 1:
                raise KdlabError(f"{section}.{name}={getattr(self, name)}: it must be 1 or more.")


@dataclass(frozen=True)
class Wish:
    """What the user asked of one augmenter.

    Attributes:
        kind: Its class.
        settings: Its settings.
        copies: How many new examples of each.
    """

    kind: type[Augmenter]
    settings: Any
    copies: int


@dataclass(frozen=True)
class AugmentPlan:
    """An augmentation that is ready to start.

    Attributes:
        run: The plan of a run on the same data, whose teacher is asked.
        settings: Of the masked LM.
        wishes: What is made, by name of the augmenter.
        sources: The examples.
        positions: Where they stand among the training rows; None where all of these are taken.
        side: ``text``, ``pair`` or ``both``.
        masked_lm: What is done for the masked LM; None where no augmenter wants one.
        lm_length: Its longest input in tokens.
        labelled_key: Fingerprint of the masked LM that is told labels; empty where none is.
        translators: Commands or folders of models there and back.
        translates_by_models: Whether they are models.
    """

    run: Plan
    settings: MaskedLMSettings
    wishes: dict[str, Wish]
    sources: tuple[Source, ...]
    positions: tuple[int, ...] | None
    side: str
    masked_lm: GeneratorPlan | None
    lm_length: int
    labelled_key: str
    translators: tuple[str, ...]
    translates_by_models: bool

    @property
    def masked_lm_key(self) -> str:
        """Fingerprint of the masked LM and of how it reads."""
        lm = self.masked_lm
        return (
            "" if lm is None else fingerprint("masked LM", lm.key, lm.checkpoint.tokenizer_fingerprint, self.lm_length)
        )

    def named_translators(self) -> list[tuple[str, str]]:
        """Name and SHA-256 of each translator, as far as it can be seen: of a command its words."""
        if not self.translates_by_models:
            return [(command, fingerprint("command", command)) for command in self.translators]
        folders = [Path(folder) for folder in self.translators]
        digests = [files_digest(one, [file for file in one.rglob("*") if file.is_file()]) for one in folders]
        names = [
            Path(name).name for name in (self.wishes[TRANSLATED].settings.there, self.wishes[TRANSLATED].settings.back)
        ]
        return list(zip(names, digests, strict=True))

    def wants(self, kind: str) -> bool:
        """Whether an augmenter wants a resource or model of a kind."""
        return any(kind in wish.kind.wants for wish in self.wishes.values())


def plan_augmentation(
    names: Sequence[str],
    copies: int | None,
    side: str | None,
    overrides: Mapping[str, Any],
    cache: Cache,
    rows: int | None = None,
) -> AugmentPlan:
    """Decides everything, and makes nothing.

    Args:
        names: Augmenters.
        copies: New examples of each, by each augmenter; None takes what its paper takes, or 1.
        side: What of a pair is changed; None takes both.
        overrides: Settings of a run, of augmenters, and ``masked_lm.*``.
        cache: What is kept between runs.
        rows: How many training rows are augmented, drawn by the seed; None takes all.

    Raises:
        KdlabError: Anything a user can get wrong.
    """
    kinds = {name: load_augmenter(name) for name in dict.fromkeys(names)}
    if copies is not None and copies < 1:
        raise KdlabError(f"-n {copies}: it says how many new examples are made of each, 1 or more.")
    sections: dict[str, type[Any]] = {
        "masked_lm": MaskedLMSettings,
        **{name: kind.Config for name, kind in kinds.items()},
    }
    own, rest = take_sections(sections, overrides)
    for name, settings in own.items():
        settings.validate(name)
    for key in ("augment", "method", "data.source"):
        if key in rest:
            raise KdlabError(f"{key}={rest[key]}: new examples are made of the task's own rows, so leave it out.")
    run = make_plan({"method": "kd", **rest}, cache)
    spec, train = run.task.spec, run.task.splits[TRAIN]
    wishes = {name: Wish(kind, own[name], copies or _copies(name, spec.name)) for name, kind in kinds.items()}
    sides = _sides(side, spec.text_pair is not None)
    pairs = train.text_pair
    positions = None if rows is None else _drawn(train, rows, run.config.seed, spec.name, spec.labels)
    sources = tuple(
        Source(
            id=train.ids[i],
            texts=(train.text[i],) if pairs is None else (train.text[i], pairs[i]),
            sides=sides,
            label=None if train.labels is None else train.labels[i],
        )
        for i in (range(len(train)) if positions is None else positions)
    )
    wanted = frozenset(kind for wish in wishes.values() for kind in wish.kind.wants)
    if LABELLED_LM in wanted and spec.regression:
        raise KdlabError(f"cbert is told labels, and {spec.name} has scores: take contextual.")
    hub = Hub()
    masked_lm, lm_length = None, run.max_length
    if wanted & {MASKED_LM, LABELLED_LM}:
        chosen = run.text if own["masked_lm"].source is None else open_checkpoint(own["masked_lm"].source, hub)
        check_mask_token(chosen)
        lm_length = min(run.max_length, usable_positions(chosen.config))
        masked_lm = plan_head(chosen, own["masked_lm"].head_steps, run.task, lm_length, run.config.teacher.seed)
    labelled = ""
    if masked_lm is not None and LABELLED_LM in wanted:
        labelled = labelled_key(masked_lm, run.task, own["masked_lm"].label_steps, lm_length)
    by_models = TRANSLATORS in wanted and check_given(own[TRANSLATED])
    return AugmentPlan(
        run=run,
        settings=own["masked_lm"],
        wishes=wishes,
        sources=sources,
        positions=positions,
        side=side or ("both" if pairs else "text"),
        masked_lm=masked_lm,
        lm_length=lm_length,
        labelled_key=labelled,
        translators=_translators(own[TRANSLATED], by_models, hub) if TRANSLATORS in wanted else (),
        translates_by_models=by_models,
    )


def describe(settings: Settings) -> dict[str, Any]:
    """Settings for the manifest."""
    return asdict(settings)


def _drawn(train: Examples, rows: int, seed: int, task: str, labels: Sequence[str]) -> tuple[int, ...]:
    """Positions of so many training rows, labels in proportion, in their order; those of fewer rows lie among them."""
    if not 1 <= rows <= len(train):
        raise KdlabError(
            f"--rows {rows}: it says how many of the {len(train):,} training rows of {task} are augmented, 1 to "
            f"{len(train)}."
        )
    places = replace(train, ids=tuple(range(len(train))))
    return limit(places, str(rows), seed, labels, "--rows").ids


def _copies(name: str, task: str) -> int:
    return COPIES.get(task, OTHER_COPIES) if name == "tinybert" else 1


def _sides(side: str | None, paired: bool) -> tuple[int, ...]:
    if side is not None and side not in SIDES:
        raise KdlabError(f"--side {side}: it is one of {', '.join(SIDES)}.")
    if not paired:
        if side not in (None, "text"):
            raise KdlabError(f"--side {side}: the examples of this task have one text.")
        return (0,)
    return {"text": (0,), "pair": (1,)}.get(side or "both", (0, 1))


def _translators(config: Any, by_models: bool, hub: Hub) -> tuple[str, str]:
    if by_models:
        return str(find_model(config.there, hub.online)), str(find_model(config.back, hub.online))
    for command in (config.command_there, config.command_back):
        CommandTranslator(command)  # refuses one that is not there
    return config.command_there, config.command_back
