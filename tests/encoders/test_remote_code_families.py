"""Whatever is saved or pushed, in whatever way, carries the code that its `auto_map` names, for every family.

The folders are then loaded in a process that cannot import this package.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from families import FAMILIES, features
from hub_server import HubServer
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification, Trainer, TrainingArguments, pipeline

ROOT = Path(__file__).parents[2]
EVERY_AUTO_CLASS = {
    "AutoConfig",
    "AutoModel",
    "AutoModelForAudioClassification",
    "AutoFeatureExtractor",
    "AutoProcessor",
}
WITHOUT_PACKAGE = """
import sys
sys.modules["modeling_retainmix"] = None
import torch
from pathlib import Path
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, AutoProcessor
"""
LOAD = (
    WITHOUT_PACKAGE
    + """
root, output = sys.argv[1:]
results = {}
for folder in sorted(path for path in Path(root).iterdir() if path.is_dir()):
    result = results[folder.name] = {}
    if (folder / "preprocessor_config.json").exists():
        extractor = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=True)
        result["frames"] = extractor(torch.ones(8000), sampling_rate=16000)["input_values"]
    if (folder / "config.json").exists():
        config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
        model = AutoModel.from_config(config, trust_remote_code=True)
        assert type(model).__module__.startswith("transformers_modules"), type(model)
    if (folder / "model.safetensors").exists():
        inputs = torch.load(Path(root) / "features.pt")
        encoder = AutoModel.from_pretrained(folder, num_hidden_layers=2, trust_remote_code=True)
        classifier = AutoModelForAudioClassification.from_pretrained(folder, trust_remote_code=True)
        with torch.no_grad():
            result["tokens"] = encoder(inputs).last_hidden_state
            result["logits"] = classifier(inputs).logits
torch.save(results, output)
"""
)
SAVE_AGAIN = (
    WITHOUT_PACKAGE
    + """
source, target = sys.argv[1], Path(sys.argv[2])
AutoProcessor.from_pretrained(source, trust_remote_code=True)
AutoModel.from_pretrained(source, trust_remote_code=True).save_pretrained(target / "remote-model")
AutoModelForAudioClassification.from_pretrained(source, trust_remote_code=True).save_pretrained(target / "remote-head")
AutoConfig.from_pretrained(source, trust_remote_code=True).save_pretrained(target / "remote-config")
AutoFeatureExtractor.from_pretrained(source, trust_remote_code=True).save_pretrained(target / "remote-extractor")
"""
)
PUSH = """
import sys
from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification
import modeling_retainmix
source, folder = sys.argv[1:]
model = AutoModelForAudioClassification.from_pretrained(source)
model.push_to_hub("acme/model")
model.save_pretrained(folder, push_to_hub=True, repo_id="acme/saved-model")
AutoFeatureExtractor.from_pretrained(source).push_to_hub("acme/extractor")
AutoConfig.from_pretrained(source).push_to_hub("acme/config")
"""


def run(code: str, *arguments: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        cwd=arguments[0] if arguments[0].is_dir() else arguments[0].parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def assert_code_is_there(files: dict[str, str]) -> None:
    """Checks that every file that `auto_map` names, and every file that it imports, lies beside (name -> content)."""
    maps = [
        json.loads(files[name])["auto_map"] for name in ("config.json", "preprocessor_config.json") if name in files
    ]
    assert maps
    if "config.json" in files:
        assert set(maps[0]) == EVERY_AUTO_CLASS
    for entry in (entry for names in maps for entry in names.values()):
        module, name = entry.split(".")
        assert f"class {name}(" in files[f"{module}.py"]
    for name in (name for name in files if name.endswith(".py")):
        for needed in re.findall(r"^\s*from \.(\w+) import", files[name], flags=re.MULTILINE):
            assert f"{needed}.py" in files, (name, needed)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.suffix in (".py", ".json")}


def save_in_every_way(family, model, extractor, root: Path) -> None:
    """Each folder of `root` is written by one way of saving with this package."""
    encoder = getattr(model, model.base_model_prefix)
    encoder.save_pretrained(root / "encoder")
    model.save_pretrained(root / "head", max_shard_size="1GB")
    model.save_pretrained(root / "state", state_dict=model.state_dict())
    model.config.save_pretrained(root / "config")
    extractor.save_pretrained(root / "extractor")
    pipeline("audio-classification", model=model, feature_extractor=extractor).save_pretrained(root / "pipeline")
    arguments = TrainingArguments(output_dir=str(root / "trainer"), report_to="none", use_cpu=True)
    Trainer(model, arguments, processing_class=extractor).save_model()
    (root / "trainer" / "training_args.bin").unlink()
    # As a name on the Hub is loaded, or as earlier versions saved: the code is named and is not there.
    for name, prefix in (("published", "acme/hum--"), ("bare", "")):
        folder = root.parent / name
        family.extractor_class().save_pretrained(folder)
        model.save_pretrained(folder)
        content = json.loads((folder / "config.json").read_text())
        content["auto_map"] = {key: prefix + entry for key, entry in content["auto_map"].items()}
        (folder / "config.json").write_text(json.dumps(content))
        for path in folder.glob("*.py"):
            path.unlink()
        AutoModelForAudioClassification.from_pretrained(folder).save_pretrained(root / f"{name}-head")
        AutoModel.from_pretrained(folder).save_pretrained(root / f"{name}-encoder")
        AutoConfig.from_pretrained(folder).save_pretrained(root / f"{name}-config")
        family.extractor_class.from_pretrained(folder).save_pretrained(root / f"{name}-extractor")


@pytest.fixture(params=FAMILIES)
def saved(request, tmp_path):
    """Family, model, extractor and the folder of all saved folders."""
    family = FAMILIES[request.param]
    model, extractor = family.classifier(num_labels=4), family.extractor_class()
    save_in_every_way(family, model, extractor, tmp_path / "saved")
    torch.save(features(), tmp_path / "saved" / "features.pt")
    return family, model, extractor, tmp_path / "saved"


def test_every_way_of_saving_brings_the_code_that_auto_map_names(saved):
    folders = [path for path in saved[3].iterdir() if path.is_dir()]
    assert len(folders) == 15
    for folder in folders:
        assert_code_is_there(texts(folder))


def test_entries_of_other_repositories_stay_and_importing_registers_nothing(saved):
    family, *_ = saved
    config = family.config()
    config.auto_map = {"AutoModelForCTC": "acme/ctc--modeling_ctc.Model", "AutoTokenizer": "gone.Tokenizer"}
    config.save_pretrained(saved[3] / "config")
    auto_map = json.loads((saved[3] / "config" / "config.json").read_text())["auto_map"]
    assert set(auto_map) == EVERY_AUTO_CLASS | {"AutoModelForCTC"}
    code = "from modeling_retainmix import *; print(BeatsConfig._auto_class, EatFeatureExtractor._auto_class)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["None", "None"]


@pytest.mark.slow
def test_every_saved_folder_loads_without_the_package_and_what_is_loaded_so_saves_its_code_too(saved, tmp_path):
    _, model, extractor, root = saved
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    run(SAVE_AGAIN, root / "pipeline", root, environment=environment)
    run(LOAD, root, tmp_path / "out.pt", environment=environment)
    loaded = torch.load(tmp_path / "out.pt")
    assert len(loaded) == 19
    with torch.no_grad():
        expected = model(features(), output_hidden_states=True)
    frames = extractor(torch.ones(8000), sampling_rate=16_000)["input_values"]
    for name, result in loaded.items():
        assert_code_is_there(texts(root / name))
        assert torch.equal(result.get("tokens", expected.hidden_states[2]), expected.hidden_states[2]), name
        assert torch.equal(result.get("frames", frames), frames), name
    for name in ("head", "state", "pipeline", "trainer", "published-head", "remote-head"):
        assert torch.equal(loaded[name]["logits"], expected.logits), name


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_way_of_pushing_brings_the_code(name, tmp_path):
    family = FAMILIES[name]
    family.classifier().save_pretrained(tmp_path / "source")
    family.extractor_class().save_pretrained(tmp_path / "source")
    with HubServer() as hub:
        environment = {**hub.environment(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        run(PUSH, tmp_path / "source", tmp_path / "folder", environment=environment)
        for repository in ("model", "saved-model", "extractor", "config"):
            files = hub.repositories["model", f"acme/{repository}"].at("main").files
            assert_code_is_there(
                {path: content.decode() for path, content in files.items() if path.endswith((".py", ".json"))}
            )
            assert ("model.safetensors" in files) == ("model" in repository)


def test_when_a_file_of_another_extractor_is_read_then_error_names_both(tmp_path):
    for name, other in (("beats", "eat"), ("eat", "beats")):
        FAMILIES[other].extractor_class().save_pretrained(tmp_path / other)
        kinds = FAMILIES[other].extractor_class.__name__, FAMILIES[name].extractor_class.__name__
        with pytest.raises(ValueError, match=f"that of a {kinds[0]}, not of a {kinds[1]}"):
            FAMILIES[name].extractor_class.from_pretrained(tmp_path / other)


def test_fine_tuned_subclass_saves_the_code_of_its_parent(tmp_path):
    class Louder(FAMILIES["beats"].classifier_class):
        """A model of a user, whose own code this package cannot know."""

    model = Louder(FAMILIES["beats"].config(num_labels=4)).eval()
    model.save_pretrained(tmp_path)

    assert_code_is_there(texts(tmp_path))
    again = AutoModelForAudioClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(again(features()).logits, model(features()).logits)
