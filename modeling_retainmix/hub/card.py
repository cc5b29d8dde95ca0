"""The model cards of a trained encoder and of its teacher; every score in them is from the `results.json` of a run."""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.utils import HFValidationError, validate_repo_id
from transformers.utils import cached_file

from modeling_retainmix import markdown
from modeling_retainmix.hub.result_tables import (
    TEACHER_AT_SAME_LAYER,
    TRAINED_MODEL,
    machine_table,
    markdown_table,
    protocol_sentence,
    row_of,
)
from modeling_retainmix.hub.score_picture import PICTURE, draw_scores

TEMPLATES = Path(__file__).parent / "templates"
TAGS = ["anomaly-detection", "anomalous-sound-detection", "dcase", "audio", "retainmix"]


def write_model_card(
    folder: str | os.PathLike, results: Mapping[str, Any], license: str | None = None, name: str | None = None
) -> Path:
    """Write `README.md`, and the picture of its scores, into a checkpoint folder.

    Args:
        folder: checkpoint folder.
        results: content of the run's `results.json`, as `evaluation.results.read_results` returns it.
        license, name: as of `model_card`.

    Returns:
        The written file.
    """
    path = Path(folder) / "README.md"
    model_card(results, license, name, draw_scores(results, path.with_name(PICTURE))).save(path)
    return path


def write_teacher_card(
    folder: str | os.PathLike, results: Mapping[str, Any], license: str | None = None, name: str | None = None
) -> Path:
    """Write `README.md`, and the picture of its scores, into the folder of a teacher.

    Args:
        folder: checkpoint folder of the teacher.
        results: content of the `results.json` of the run that trained it first.
        license, name: as of `teacher_card`.

    Returns:
        The written file.
    """
    path = Path(folder) / "README.md"
    teacher_card(results, license, name, draw_scores(results, path.with_name(PICTURE))).save(path)
    return path


def write_unscored_card(folder: str | os.PathLike, record: Mapping[str, Any], license: str | None = None) -> Path:
    """Write `README.md` into the folder of a model that was trained but not scored.

    Args:
        folder: checkpoint folder.
        record: `settings` of the training, `data` (both for a table of names and values) and `model` with `name`,
            `num_parameters`, `embedding_layer` and `base_model`, as in `results.json`; maybe a `notice` to begin with.
        license: licence of the weights, an identifier of the Hub; None: see `base_license`.

    Returns:
        The written file.
    """
    path = Path(folder) / "README.md"
    model_card({**record, "rows": []}, license).save(path)
    return path


def model_card(
    results: Mapping[str, Any], license: str | None = None, name: str | None = None, has_picture: bool = True
) -> ModelCard:
    """Build the card of a run's model.

    Args:
        results: content of `results.json`, its rows with keys; without rows, the record of `write_unscored_card`.
        license: licence of the weights, an identifier of the Hub; None: that of the training data where the record
            names one, else see `base_license`.
        name: by which the code in the card loads the model, a folder or repository; None: the one in the results.
        has_picture: `draw_scores` has drawn one beside the card.

    Returns:
        The card; its front matter holds the measured official scores as a model index.
    """
    name, base_model = name or results["model"]["name"], results["model"]["base_model"]
    row = row_of(results, TRAINED_MODEL) if results["rows"] else None
    license = license or results["data"].get("training_license") or base_license(base_model)
    base_model = hub_name(base_model)
    return _card("model_card.md", name, results, row, results["settings"], license, base_model, has_picture)


def teacher_card(
    results: Mapping[str, Any], license: str | None = None, name: str | None = None, has_picture: bool = True
) -> ModelCard:
    """Build the card of the teacher that a run trained first; arguments and result as in `model_card`.

    `name` is that of the model; its teacher's ends in "-teacher".
    """
    name = name or results["model"]["name"]
    license = license or results["data"].get("training_license") or "apache-2.0"
    shared = ("encoder_config", "seed", "clip_seconds")
    settings = {
        name: value
        for name, value in results["settings"].items()
        if name in shared or (name.startswith("teacher_") and name != "teacher_inputs")  # of the student's training
    }
    row = row_of(results, TEACHER_AT_SAME_LAYER)
    content = {**results, "model": {**results["model"], "name": name}}
    return _card("teacher_card.md", f"{name}-teacher", content, row, settings, license, None, has_picture)


def _card(
    template: str,
    name: str,
    results: Mapping[str, Any],
    row: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    license: str,
    base_model: str | None,
    has_picture: bool,
) -> ModelCard:
    """Build the card of the model that `row` of the results belongs to; None: it was not scored."""
    scores = {} if row is None else score_sections(results, row, has_picture)
    scored: dict[str, Any] = (
        {} if row is None else {"metrics": ["dcase_score"], "eval_results": eval_results(results, row)}
    )
    start = results["model"]["base_model"]
    card_data = front_matter(name, license, base_model, TAGS, datasets=results["data"].get("datasets"), **scored)
    return render_card(
        template,
        card_data,
        results=results,
        name=name,
        num_parameters=f"{results['model']['num_parameters']:,}",
        settings=key_value_table(settings),
        data=key_value_table(results["data"]),
        license=license,
        base_license=base_license(start),
        # Where a folder lies on this machine is nothing for readers of the card.
        started_from=Path(start).name if start and Path(start).is_absolute() else start,
        aims=training_aims(results["settings"]),
        **scores,
    )


def front_matter(
    name: str,
    license: str,
    base_model: str | None,
    tags: list[str],
    pipeline_tag: str = "audio-classification",
    **content: Any,
) -> ModelCardData:
    """Build the front matter that the cards of models and detectors share; `content` is added to it."""
    return ModelCardData(
        license=license,
        library_name="transformers",
        pipeline_tag=pipeline_tag,
        base_model=base_model,
        tags=tags,
        model_name=name,
        **content,
    )


def render_card(template: str, card_data: ModelCardData, name: str, **content: Any) -> ModelCard:
    """Fill a template of `templates/`.

    Templates put text that is not theirs (names, commands, labels) through one of five functions: `escape` in prose,
    `code_span`, `code_block`, and inside code `python_text` and `shell_word`, which quote it.

    Args:
        template: file name.
        card_data: front matter.
        name: of the repository.
        content: what else the template reads.
    """
    return ModelCard.from_template(
        card_data,
        template_path=str(TEMPLATES / template),
        name=name,
        title=name.split("/")[-1],
        labels_are_synthetic="factory_version" in content.get("results", {}).get("data", {}),
        escape=markdown.escape,
        code_span=markdown.code_span,
        code_block=markdown.code_block,
        python_text=lambda text: json.dumps(text, ensure_ascii=False),
        shell_word=shlex.quote,
        setting_list=lambda settings: ", ".join(f"{name}={json.dumps(value)}" for name, value in settings.items()),
        **content,
    )


def eval_results(results: Mapping[str, Any], row: Mapping[str, Any]) -> list[EvalResult]:
    """Return the official scores of a row in %, one entry per subset and SNR, and the two harmonic means."""
    protocol = results["protocol"]

    def entry(subset: str, metric_name: str, value: float, snr_db: list[float]) -> EvalResult:
        return EvalResult(
            task_type="audio-classification",
            task_name="Anomalous sound detection",
            dataset_type="retainmix-benchmark",
            dataset_name=f"{results['data']['evaluation']}: {subset}",
            dataset_config=subset,
            dataset_split="test",
            dataset_args={"protocol": protocol["name"]},
            metric_type="dcase_score",
            metric_name=metric_name,
            metric_value=round(value, 2),
            metric_args={"snr_db": snr_db},
        )

    entries = [
        entry(subset, f"Official score in %, SNR {snr} dB", value, [float(snr)])
        for subset, cells in row["scores"].items()
        for snr, value in cells.items()
    ]
    means = (("low SNR", "low_snr_db", "hmean_low"), ("all SNRs", "snr_db", "hmean_all"))
    return entries + [
        entry("all subsets", f"Official score in %, harmonic mean over {label}", row[mean], list(protocol[snrs]))
        for label, snrs, mean in means
    ]


def score_sections(results: Mapping[str, Any], row: Mapping[str, Any], has_picture: bool) -> dict[str, Any]:
    """Return what the card of a scored model shows: the table, the row by machine type, and how both were made."""
    durations = {f"seconds, {stage}": seconds for stage, seconds in results["duration_seconds"].items()}
    provenance = {
        "created": results["created"],
        "commit": results["commit"],
        **results["hardware"],
        **results["versions"],
        **durations,
        "peak memory in GiB": results["peak_memory_gib"],
    }
    return {
        "table": markdown_table(results["rows"], results["protocol"]),
        "protocol": protocol_sentence(results["protocol"]),
        "machines": machine_table(row, results["protocol"]),
        "provenance": key_value_table(provenance),
        "picture": PICTURE if has_picture else None,
    }


def training_aims(settings: Mapping[str, Any]) -> str:
    """Say what a model was trained to do under these settings; a loss with weight zero is not among its aims."""
    tagging = "both sources of a mixture (Eq. 4)" if settings.get("tag_noise", True) else "the machine in it (Eq. 1)"
    mixture = "keeps its tokens near a convex combination of a frozen teacher's tokens of the two sources (Eq. 6)"
    if settings.get("separate_heads"):
        mixture = (
            "lets two linear heads, thrown away since, tell a frozen teacher's tokens of each source from its own"
        )
    aims = ((settings["alpha"], f"classifies {tagging}"), (settings["beta"], mixture))
    return " and ".join(aim for weight, aim in aims if weight > 0)


def base_license(base_model: str | None) -> str:
    """Return the licence of what was trained from an encoder: that of its card, or "unknown" where that states none.

    Args:
        base_model: folder or Hub name; None: the weights are from scratch, apache-2.0.
    """
    if not base_model:
        return "apache-2.0"
    try:
        card = cached_file(base_model, "README.md", _raise_exceptions_for_missing_entries=False)
        license = ModelCard.load(card).data.license if card else None
    except (OSError, ValueError):  # the model is gone, the Hub is out of reach, or the card cannot be parsed
        return "unknown"
    return license if isinstance(license, str) else "unknown"


def hub_name(base_model: str | None) -> str | None:
    """Return the base model where it is a name on the Hub, else None: the front matter may not hold a local folder."""
    if base_model is None or Path(base_model).exists() or "/" not in base_model:
        return None
    try:
        validate_repo_id(base_model)
    except HFValidationError:
        return None
    return base_model


def key_value_table(content: Mapping[str, Any]) -> str:
    """Return a Markdown table of names and values."""
    rows = []
    for name, value in content.items():
        text = value if isinstance(value, str) else "-" if value is None else json.dumps(value, ensure_ascii=False)
        rows.append([name, text])
    return markdown.table(["", ""], rows, align="ll")
