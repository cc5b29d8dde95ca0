"""Page of the metric's Space: upload a table of scores, read the official score."""

# mypy: ignore-errors
# In the Space, gradio is installed and the metric's file lies beside this one; neither holds inside the package.

import csv
from pathlib import Path

import gradio as gr
from dcase_score import dcase_score
from evaluate.utils.gradio import parse_readme

COLUMNS = {
    "prediction": "predictions",
    "reference": "references",
    "domain": "domains",
    "machine": "machines",
    "section": "sections",
}


def score_table(path: str | None, rules: int, max_fpr: float) -> dict:
    """Scores a CSV file with the columns prediction, reference and, optionally, domain, machine, section."""
    if path is None:
        raise gr.Error("Upload a CSV file first.")
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    missing = [name for name in ("prediction", "reference") if name not in (reader.fieldnames or [])]
    if missing:
        raise gr.Error(f"{Path(path).name} lacks the column(s) {', '.join(missing)}.")
    columns = {name: [row[header] for row in rows] for header, name in COLUMNS.items() if header in reader.fieldnames}
    try:
        return dcase_score(**columns, rules=rules, max_fpr=max_fpr)
    except ValueError as error:
        raise gr.Error(str(error)) from None


demo = gr.Interface(
    fn=score_table,
    inputs=[
        gr.File(label="CSV: prediction, reference[, domain, machine, section]", file_types=[".csv"]),
        gr.Dropdown(list(range(2020, 2027)), value=2023, label="Rules of the year"),
        gr.Number(value=0.1, label="Upper false positive rate of the partial AUC"),
    ],
    outputs=gr.JSON(label="Scores"),
    title="DCASE Task 2 score",
    article=parse_readme(Path(__file__).parent / "README.md"),
    flagging_mode="never",
)

if __name__ == "__main__":
    demo.launch()
