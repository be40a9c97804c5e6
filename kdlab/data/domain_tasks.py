"""Tasks of one domain each, to which models are adapted from another: the target domains of L2A, and its sources.

Their test part is labelled: it is what is reported, and the validation part (``dev``) never is. This module imports
only the standard library. Feng et al. 2021, "Learning to Augment for Data-Scarce Domain BERT Knowledge Distillation",
section Datasets, pairs them so: MNLI with ``scitail``, QQP with ``cikm``, SST-2 with ``rt``, and the reviews of
``electronics`` or ``home`` with ``watches``.

F1 is of the second label, so the label that the published tables mean stands second.
"""

from __future__ import annotations

from kdlab.data.spec import DEV, TEST, TRAIN, TaskSpec, numbered

_SPLITS = {TRAIN: "train", DEV: "validation", TEST: "test"}
_NLI = ("not_entailment", "entailment")
_DUPLICATE = ("not_duplicate", "duplicate")
_SENTIMENT = ("negative", "positive")

SCITAIL = TaskSpec(
    name="scitail",
    text="premise",
    text_pair="hypothesis",
    labels=_NLI,
    metrics=("accuracy", "f1"),
    splits=_SPLITS,
    aliases={"entails": "entailment", "neutral": "not_entailment", "contradiction": "not_entailment"},
    hub=("allenai/scitail", "tsv_format"),
    files={TRAIN: "scitail_1.0_train.tsv", DEV: "scitail_1.0_dev.tsv", TEST: "scitail_1.0_test.tsv"},
    labelled_test=True,
    description="does a science text entail the hypothesis? (Khot et al. 2018; labelled test)",
)

CIKM = TaskSpec(
    name="cikm",
    text="sentence1",
    text_pair="sentence2",
    labels=_DUPLICATE,
    metrics=("accuracy", "f1"),
    splits=_SPLITS,
    aliases=numbered(_DUPLICATE),
    files=dict.fromkeys((TRAIN, DEV, TEST), "cikm_english_train_20180516.txt"),
    labelled_test=True,
    description="do two customers of a shop ask the same? (CIKM AnalytiCup 2018, English; labelled test)",
)

RT = TaskSpec(
    name="rt",
    text="text",
    labels=_SENTIMENT,
    metrics=("accuracy", "f1"),
    splits=_SPLITS,
    aliases={"neg": "negative", "pos": "positive"},
    hub=("cornell-movie-review-data/rotten_tomatoes", "default"),
    files=dict.fromkeys((TRAIN, DEV, TEST), "rt-polarity.pos"),
    labelled_test=True,
    description="sentiment of a snippet of a film review (Pang and Lee 2005; labelled test)",
)


def _reviews(name: str, what: str, file: str) -> TaskSpec:
    """How helpful the readers of a review of Amazon's found it: helpful votes / votes (McAuley and Leskovec 2013)."""
    return TaskSpec(
        name=name,
        text="reviewText",
        label="helpful",
        metrics=("pearson", "spearman"),
        score_range=(0.0, 1.0),
        splits=_SPLITS,
        files=dict.fromkeys((TRAIN, DEV, TEST), file),
        labelled_test=True,
        description=f"helpfulness of Amazon's reviews of {what} from 0 to 1 (regression; labelled test)",
    )


DOMAIN: dict[str, TaskSpec] = {
    "scitail": SCITAIL,
    "cikm": CIKM,
    "rt": RT,
    "watches": _reviews("watches", "watches", "reviews_Watches.json.gz"),
    "electronics": _reviews("electronics", "electronics", "reviews_Electronics_5.json.gz"),
    "home": _reviews("home", "home and kitchen", "reviews_Home_and_Kitchen_5.json.gz"),
}
