"""What is said of a plan before it is carried out."""

from __future__ import annotations

from kdlab.data.domains import BOTH
from kdlab.data.tasks import TaskSpec
from kdlab.planning.plan import Plan, student_head
from kdlab.planning.teacher import head_reason
from kdlab.system.console import Reporter
from kdlab.system.shown import listed


def show_plan(plan: Plan, reporter: Reporter) -> None:
    """Says what will happen, before it does."""
    run, task, source = plan.config, plan.task, plan.task.source
    if source.embedded:
        why = f" ({source.reason})" if source.reason else ""
        reporter.announce(f"EMBEDDED CORPUS{why}: these are figures of kdlab's own grammar, NOT of {_title(task.spec)}")
    for sentence in plan.substituted:
        reporter.announce(f"SUBSTITUTED: {sentence}")
    sizes = ", ".join(f"{name} {len(examples):,}" for name, examples in task.splits.items())
    rule = plan.select_by
    reported = task.reported_splits[0]
    carved = f" (carved out of train; {reported} is only reported)" if task.select_on == "holdout" else ""
    chosen = f"chosen by {rule.words(task.spec.monitor)} on {task.select_on}{carved}"
    chosen = chosen if rule.chooses else f"chosen by {rule.words(task.spec.monitor)}"
    rows = [
        ("method", f"{plan.method.name}: {_settings(plan)}"),
        ("data", f"{source.kind}: {source.where}, fingerprint {task.fingerprint[:12]}"),
        ("", sizes),
        *(("", note) for note in task.notes),
        ("teacher", _teacher_line(plan)),
        *(("", f"its answers on {', '.join(names)} are in the cache") for names in [plan.answered()] if names),
        ("student", _student_line(plan)),
        *((name, resource.describe()) for name, resource in plan.resources.items()),
        *plan.method.foresight_of(plan.settings.method).items(),
        (
            "training",
            f"{plan.steps()} steps: {plan.epochs()}{_least(run.training.min_steps)}{_turns(plan)}, batch "
            f"{run.training.batch_size}, learning rate {run.training.learning_rate:g}, inputs up to {plan.max_length} "
            f"tokens{_validated(run.training.validate_every)}{_stops(run.training.patience)}",
        ),
        ("hardware", plan.hardware.describe()),
        ("checkpoint", chosen),
        *_evaluation_lines(plan),
        ("records", listed([plan.folder(seed) for seed in plan.seeds], 1000)),
    ]
    reporter.rows(f"Plan: {plan.method.name} on {task.spec.name}", rows)


def _least(steps: int) -> str:
    return f" (at least {steps} steps)" if steps else ""


def _validated(every: int) -> str:
    return f", validated every {every} epochs" if every > 1 else ""


def _stops(patience: int) -> str:
    return f"; stops behind {patience} epochs without a better one" if patience else ""


def _turns(plan: Plan) -> str:
    turns = plan.method.cycle_of(plan.settings.method, plan.task.spec).turns
    return " in turns of " + " and ".join(f"{n} batches of the {player}" for player, n in turns) if turns else ""


def _evaluation_lines(plan: Plan) -> list[tuple[str, str]]:
    sets = ", ".join(f"{ood_set.spec.name} {len(ood_set.examples):,} ({ood_set.source.kind})" for ood_set in plan.ood)
    lines = [*([f"out of domain: {sets}"] if sets else []), *plan.ood_notes]
    if plan.attacks is not None:
        count = f"{plan.attacks.count:,}" if plan.attacks.count else "all"
        lines.append(f"attacked: by {', '.join(plan.attacks.recipes)} on {count} examples, {plan.attacks.mode}")
    return [("evaluation" if i == 0 else "", line) for i, line in enumerate(lines)]


def _title(spec: TaskSpec) -> str:
    return f"GLUE's {spec.folder}" if spec.folder else spec.name


def _settings(plan: Plan) -> str:
    own = plan.settings.plain[plan.method.name]
    return ", ".join(f"{name} {value}" for name, value in own.items()) or "no settings of its own"


def _teacher_line(plan: Plan) -> str:
    if plan.teacher is None:
        return "not needed"
    used = "" if plan.method.needs_of(plan.settings.method) else " (the student's donor; the loss does not use it)"
    why = f" ({plan.teacher.reason})" if plan.teacher.reason else ""
    fixed = f", seed {plan.config.teacher.seed}" if plan.teacher.order is None else ""
    if plan.config.data.source is not None and plan.teacher.order is None:
        domain = plan.config.teacher.domain
        fixed += ", made of both domains' rows" if domain == BOTH else f", made of the {domain} domain's rows"
    return (
        f"{plan.teacher.checkpoint.source}, {plan.teacher.status}{why}{fixed}, {plan.teacher_parameters:,} parameters, "
        f"fingerprint {plan.teacher.key[:12]}{used}"
    )


def _student_line(plan: Plan) -> str:
    donor, why = plan.student.donor, ""
    if donor is not None and plan.student.layers is None and donor.has_head and student_head(plan) is None:
        why = f" (a new head: {head_reason(donor, plan.task.spec)})"
    if plan.student.finetuned is not None:
        why = f" ({plan.student.finetuned.status})"
    return f"{plan.student.made_of}{why}, {plan.student.parameters:,} parameters"
