"""`TablesArguments`: which encoders `evaluation.paper.tables` scores, and on what."""

from dataclasses import dataclass, field

from modeling_retainmix.data.benchmark_arguments import BenchmarkArguments
from modeling_retainmix.detection.settings import DetectorSettings, Normalization
from modeling_retainmix.evaluation.compared_systems import BACKBONES, BEYOND, TRAINED


@dataclass
class TablesArguments(BenchmarkArguments):
    """Options of `python -m modeling_retainmix.evaluation.paper.tables`, beside those of the benchmark."""

    output_dir: str = field(
        metadata={
            "help": "Folder of the tables; the rows of all calls that name it go into them, whatever their seed."
        }
    )
    teacher: str | None = field(
        default=None,
        metadata={
            "help": "The frozen backbone: folder, Hub name or original .pt; default: score nothing, make the tables "
            "again."
        },
    )
    models: list[str] | None = field(
        default=None,
        metadata={
            "help": "Encoders of the rows, as ROW=FOLDER. Rows of trained models have the names of their recipes "
            f"({', '.join(TRAINED | BEYOND)}), those of further backbones are {', '.join(BACKBONES)}."
        },
    )
    seed: int = field(default=0, metadata={"help": "Seed that the rows are filed under; also of the random weights."})
    embedding_layer: int | None = field(
        default=None,
        metadata={
            "help": "Layer of the trained models, and of the frozen, random and oracle rows beside them; default: the "
            "one that their configurations name."
        },
    )
    clip_seconds: float | None = field(
        default=None, metadata={"help": "Length of a clip in seconds; default: the protocol's, 10."}
    )
    normalization: Normalization = field(
        default="none",
        metadata={
            "help": "Of distances between domains: none; references, by leave-one-out statistics of the references; "
            "test, by those of the tests, as in GenRep and apparently in the paper's Tables 2, 4 and 5.",
        },
    )
    mix_support: int | None = field(
        default=None,
        metadata={"help": "Nearest source references that MemMixup mixes each target reference with; default: off."},
    )
    figure: bool = field(
        default=False, metadata={"help": "Read all layers of all encoders, for Figure 2 on the benchmark."}
    )
    figure_data: list[str] | None = field(
        default=None,
        metadata={
            "help": "Recordings for Figure 2, scored as they are, as NAME=FOLDER, such as the evaluation sets of "
            "DCASE Task 2."
        },
    )
    figure_ground_truth: list[str] | None = field(
        default=None,
        metadata={"help": "Folders of the official ground truth, where --figure_data need it, as NAME=FOLDER."},
    )
    device: str | None = field(default=None, metadata={"help": "Where to compute; default: a GPU if there is one."})
    batch_size: int = field(default=32, metadata={"help": "Clips of one forward."})
    disable_tqdm: bool = field(default=False, metadata={"help": "Show no progress bars."})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.models and self.teacher is None:
            raise ValueError("--models needs --teacher, the frozen backbone that they are compared with")
        if self.eval_data is None and self.noise is not None:
            raise ValueError("--eval_data and --noise belong together: give both folders, or neither")
        # The choices of an option are checked by the parser alone.
        self.detector_settings = DetectorSettings(
            backend="knn",
            normalization=self.normalization,
            memmixup_neighbors=self.mix_support,
        )
        self.folders = _named_folders("models", self.models)
        self.figure_folders = _named_folders("figure_data", self.figure_data)
        self.ground_truths = _named_folders("figure_ground_truth", self.figure_ground_truth)
        if self.figure_folders and self.teacher is None:
            raise ValueError("--figure_data needs --teacher, the frozen backbone that is drawn")
        unknown = [row for row in self.folders if row not in TRAINED | BEYOND | BACKBONES]
        if unknown:
            raise ValueError(f"--models {unknown[0]}=...: rows are {', '.join([*TRAINED, *BEYOND, *BACKBONES])}")
        unknown = [name for name in self.ground_truths if name not in self.figure_folders]
        if unknown:
            raise ValueError(f"--figure_ground_truth {unknown[0]}=... belongs to no --figure_data of that name")


def _named_folders(option: str, entries: list[str] | None) -> dict[str, str]:
    """Return {name: folder} from NAME=FOLDER."""
    folders: dict[str, str] = {}
    for entry in entries or []:
        name, separator, folder = entry.partition("=")
        if not (name and separator and folder) or "/" in name:
            raise ValueError(f"--{option} {entry}: give NAME=FOLDER")
        if name in folders:
            raise ValueError(f"--{option} names {name} twice")
        folders[name] = folder
    return folders
