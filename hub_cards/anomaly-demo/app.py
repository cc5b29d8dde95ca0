"""Page of the demo Space: reference clips and a test clip in, verdict, events and pictures out.

python app.py    # http://127.0.0.1:7860
"""

import json
import tempfile
import traceback

import gradio as gr
from anomaly_demo import EXAMPLES, FIRST_EXAMPLE, detect, example_clips, example_label, load_encoder
from verdict_page import error_page, hint_page, verdict_page, waiting_page

INTRODUCTION = """# Does this machine sound as it should?
Give recordings of the healthy machine and one to judge, or take those of a synthetic machine. The score says how
unlike the healthy recordings the other one sounds; the threshold comes from comparing these with each other.
"""
CHOICES = {example_label(*example): example for example in EXAMPLES}

encoder = load_encoder()
example_folder = tempfile.TemporaryDirectory(prefix="retainmix-demo-")


# In the browser, so that nothing has to wait for the server: the number of changes so far is the ticket with which a
# recording is judged, and a verdict shows only while its ticket is the last one.
CLEAR = f"() => {{ window.changes = (window.changes ?? 0) + 1; return {json.dumps(hint_page())} }}"
BEGIN = f"() => [window.changes ?? 0, {json.dumps(waiting_page())}]"
SHOW = f"(page, ticket) => ticket === (window.changes ?? 0) ? page : {json.dumps(hint_page())}"


def judge(references: list[str] | None, test: str | None, false_alarm_rate: float, ticket: int) -> tuple[str, int]:
    """Return the verdict on a clip, or what is wrong in its place, and the ticket that it was asked for with."""
    try:
        return verdict_page(detect(encoder, references, test, false_alarm_rate)), ticket
    except ValueError as error:
        return error_page(str(error)), ticket
    except Exception:
        traceback.print_exc()
        return error_page("the recording could not be judged; the log of the server says why"), ticket


def take_example(choice: str) -> tuple[list[str], str]:
    """Files of a synthetic machine for the two inputs."""
    return example_clips(*CHOICES[choice], example_folder.name)


with gr.Blocks(title="RetainMix: anomalous sound detection") as demo:
    gr.Markdown(INTRODUCTION)
    with gr.Row():
        with gr.Column(min_width=280, scale=2):
            choice = gr.Dropdown(
                list(CHOICES), value=example_label(*FIRST_EXAMPLE), label="No recordings? A synthetic machine"
            )
            example = gr.Button("Take its clips", elem_id="example")
            references = gr.File(
                label="Recordings of the healthy machine",
                file_count="multiple",
                file_types=["audio"],
                height=180,
                elem_id="references",
            )
            test = gr.Audio(
                label="Recording to judge", sources=["upload", "microphone"], type="filepath", elem_id="test"
            )
            false_alarm_rate = gr.Slider(
                0.01, 0.5, value=0.1, step=0.01, label="Share of healthy recordings called anomalous", elem_id="rate"
            )
            score = gr.Button("Score", variant="primary", elem_id="score")
        with gr.Column(min_width=280, scale=3):
            verdict = gr.HTML(hint_page(), elem_id="verdict")
    inputs = [references, test, false_alarm_rate]
    ticket, page, page_ticket = gr.Number(visible=False), gr.Textbox(visible=False), gr.Number(visible=False)
    example.click(take_example, choice, [references, test])
    score.click(None, None, [ticket, verdict], js=BEGIN).then(
        judge, [*inputs, ticket], [page, page_ticket], show_progress="hidden"
    ).then(None, [page, page_ticket], verdict, js=SHOW)
    # A verdict belongs to the clips beside it: with any change it goes, and one on its way never comes.
    changes = [one.change for one in inputs] + [test.start_recording, test.clear, references.clear]
    gr.on(changes, None, None, verdict, js=CLEAR)

if __name__ == "__main__":
    demo.launch()
