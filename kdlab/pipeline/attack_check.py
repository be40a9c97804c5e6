"""``kdlab attack --check``: which resources are there, what stands in, and where the others are to be had."""

from __future__ import annotations

from kdlab.data.sources import Hub
from kdlab.models.generator import check_mask_token, has_mlm_head
from kdlab.planning.backbone import open_checkpoint
from kdlab.system.cache import Cache
from kdlab.system.console import Reporter
from kdlab.transformations.resources import Resources


def check_resources(folder: str | None, masked_lm: str | None, sentence_encoder: str | None) -> int:
    """Shows what attacks would work with.

    Args:
        folder: ``--resources``; None takes ``$KDLAB_RESOURCES``.
        masked_lm: ``--masked-lm``.
        sentence_encoder: ``--sentence-encoder``.

    Returns:
        0.

    Raises:
        KdlabError: There is no such folder, or a model can't be read.
    """
    reporter = Reporter()
    resources = Resources(folder, Cache(say=reporter.warn))
    rows = [
        [one.kind, one.fidelity, one.file or one.stand_in or "–", one.sha256[:12] or "–", one.source]
        for one in resources.manifest()
    ]
    hub = Hub()
    own = "the checkpoint that the teacher was made of"
    if masked_lm is None:
        rows.append(["masked LM", "substituted", own, "–", "--masked-lm bert-base-uncased (BAE's own)"])
    else:
        found = open_checkpoint(masked_lm, hub)
        check_mask_token(found)
        head = has_mlm_head(found)
        what = masked_lm if head else f"{masked_lm}, with a head trained on the task's text"
        rows.append(["masked LM", "found" if head else "substituted", what, found.weights_fingerprint[:12], ""])
    named = sentence_encoder or masked_lm
    digest = open_checkpoint(named, hub).weights_fingerprint[:12] if named else "–"
    source = "the Universal Sentence Encoder is TensorFlow's: any BERT-like model stands in (--sentence-encoder)"
    rows.append(["sentence encoder", "substituted", f"the mean of the states of {named or own}", digest, source])
    reporter.table(["resource", "fidelity", "what", "sha256", "where it is to be had"], rows)
    return 0
