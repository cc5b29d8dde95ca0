"""Page of the demo Space: reference clips and a test clip in, score, threshold and pictures out."""

import tempfile

import gradio as gr
from anomaly_demo import EXAMPLES, detect, example_clips, model_name
from deviation_figure import deviation_figure
from matplotlib.figure import Figure

from modeling_retainmix import AnomalyDetector

INTRODUCTION = """# Does this machine sound as it should?
Give recordings of the healthy machine and one to judge. The score is the distance of the test clip to the references
in the embedding of a RetainMix encoder; the threshold comes from the distances between the references.
"""
CHOICES = {f"{machine}: {fault or 'healthy'}": (machine, fault) for machine, fault in EXAMPLES}

encoder = AnomalyDetector.from_pretrained(model_name())
example_folder = tempfile.TemporaryDirectory(prefix="retainmix-demo-")


def judge(references: list[str] | None, test: str | None, false_alarm_rate: float) -> tuple[str, Figure]:
    """Text and pictures of a test clip; bad input shows as a message on the page."""
    try:
        detection = detect(encoder, references, test, false_alarm_rate)
    except ValueError as error:
        raise gr.Error(str(error)) from error
    return detection.summary, deviation_figure(detection.waveform, detection.explanation)


def take_example(choice: str) -> tuple[list[str], str]:
    """Files of a synthetic machine for the two inputs."""
    return example_clips(*CHOICES[choice], example_folder.name)


with gr.Blocks(title="RetainMix: anomalous sound detection") as demo:
    gr.Markdown(INTRODUCTION)
    with gr.Row():
        with gr.Column():
            references = gr.File(
                label="Reference clips of the healthy machine",
                file_count="multiple",
                file_types=["audio"],
                height=200,
                elem_id="references",
            )
            test = gr.Audio(label="Test clip", sources=["upload"], type="filepath", elem_id="test")
            false_alarm_rate = gr.Slider(
                0.01, 0.5, value=0.1, step=0.01, label="Share of healthy clips called anomalous"
            )
            score = gr.Button("Score", variant="primary", elem_id="score")
            choice = gr.Dropdown(list(CHOICES), value=list(CHOICES)[1], label="No recordings? A synthetic machine")
            example = gr.Button("Take its clips", elem_id="example")
        with gr.Column():
            summary = gr.Markdown(elem_id="summary")
            pictures = gr.Plot(show_label=False, elem_id="pictures")
    example.click(take_example, choice, [references, test])
    score.click(judge, [references, test, false_alarm_rate], [summary, pictures])

if __name__ == "__main__":
    demo.launch()
