"""A model in any of the forms that other programs load: written over no other file, checked; and its card."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from tenfold.classifier import Classifier
from tenfold.errors import FigureNotMetError, MissingDependencyError, ModelError, UsageError, nearest
from tenfold.export.hugging import HUGGING_FILES, write_hugging
from tenfold.export.int8 import quantise_onnx
from tenfold.export.onnx_file import export_onnx, import_onnx
from tenfold.export.web import export_web
from tenfold.files import Claim, fill_folder, replace_file, shown_path, write_text
from tenfold.networks.engine import EnsembleEngine
from tenfold.numerics import log_softmax
from tenfold.pictures.lines import Strip
from tenfold.reader.decode import CHARACTERS, OUTPUTS
from tenfold.reader.line_reader import AnyModel, LineReader, load_model
from tenfold.version import __version__

__all__ = ["Source"]

MOST_DIFFERENCE = 1e-3  # of a probability
_CHECKED = 1000  # images that what was written is asked about
_WIDTHS = (16, 64, 256, 1024)  # pixels of the strips that a line reader is asked about
_ENDINGS = {"onnx": ".onnx", "safetensors": "-safetensors", "web": "-web", "card": ".md",
            "torch": ".pt", "huggingface": "-huggingface"}  # fmt: skip
CARD_MARK = "<!-- model card by tenfold -->"
_HTML = re.compile(r"<(?=[A-Za-z/!?])")

Images = np.ndarray | Sequence[np.ndarray]  # uint8 (N, H, W), or of a line reader several such, of any widths
Ask = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # -> probabilities (N, ..., K), of no class (N,)


@dataclass(frozen=True, eq=False)
class Source:
    """What is exported: a model and its name. saved: the folder it is loaded from.

    images: what was written is asked about them, the first thousand, or made-up ones; kind: what they are;
    labels: int64 (N,), theirs.
    data: of a run's environment.json, what it was trained on. figures: of `Evaluation.to_dict()`. told: a
    card that the model came with, to be kept.
    """

    model: AnyModel
    name: str
    saved: str = ""
    images: Images | None = None
    kind: str = ""
    labels: np.ndarray | None = None
    data: Mapping[str, Any] | None = None
    figures: Mapping[str, Any] | None = None
    told: str = ""

    def asked(self) -> tuple[Images, str]:
        """What an exported file is asked about, and what that is."""
        if self.images is not None:
            return self.images[:_CHECKED], self.kind
        if isinstance(self.model, LineReader):
            return check_strips(), "made-up strips"
        return check_images(self.model.card.image_shape), "made-up images"

    def export_int8(self, path: str | Path | None = None) -> tuple[Exported, dict[str, Any] | None]:
        """An ONNX file with int8 weights, which may answer otherwise; and its accuracy, see `quantise_onnx`.

        Raises as `export` does.
        """
        model = _classifier(self, "onnx --int8")
        target = Path(f"{self.name}-int8.onnx") if path is None else Path(path)
        import_onnx()
        _refuse_taken(target, ours=_is_our_onnx)
        with Claim.place(target), replace_file(target) as beside, TemporaryDirectory() as folder:
            exact = Path(folder, "float32.onnx")
            export_onnx(model, exact)
            images = self.asked()[0] if self.images is None else self.images
            accuracy = quantise_onnx(exact, beside, np.asarray(images), self.labels)
            agreement = compare_onnx(model, beside, *self.asked())
        return Exported("onnx", target, {target.name: target.stat().st_size}, agreement), accuracy

    def export(self, form: str, path: str | Path | None = None) -> Exported:
        """Writes it in one form, to `default_place` unless a path is given.

        Raises UsageError where the form is unknown, does not suit the model, or the place is taken by
        something that no export made or by an export that is at work; FigureNotMetError where an ONNX file
        answers otherwise, which then does not get its place; MissingDependencyError.
        """
        if form not in FORMS:
            raise UsageError(f"--to {form!r}: unknown form", remedy=nearest(form, FORMS))
        target = default_place(self.name, form) if path is None else Path(path)
        with Claim.place(target):
            agreement = FORMS[form](self, target)
        if target.is_file():
            return Exported(form, target, {target.name: target.stat().st_size}, agreement)
        files = sorted(each for each in target.rglob("*") if each.is_file() and not Claim.is_part(each))
        sizes = {each.relative_to(target).as_posix(): each.stat().st_size for each in files}
        return Exported(form, target, sizes, agreement)


@dataclass(frozen=True)
class Agreement:
    """images: how many were asked about, and of what kind. difference: the largest, of a probability.
    differing: answers (the likeliest class, or a refusal; of strips the likeliest character of each column)
    that are not the same."""

    images: int
    kind: str
    difference: float
    differing: int

    def require(self) -> Agreement:
        """Itself. Raises FigureNotMetError where probabilities or answers are too far apart."""
        if self.difference > MOST_DIFFERENCE or self.differing:
            raise FigureNotMetError(
                f"the exported file answers {self.differing} of {self.images:,} {self.kind} otherwise, "
                f"and probabilities differ by up to {self.difference:.2g}",
                expected=f"the same answers, and probabilities within {MOST_DIFFERENCE:g}",
                remedy="please report it with its recipe",
            )
        return self


@dataclass(frozen=True)
class Exported:
    """path: of the file or folder. files: of which it consists, with their bytes. agreement: of what was
    written with the model, None where that is not asked here."""

    form: str
    path: Path
    files: Mapping[str, int]
    agreement: Agreement | None

    def to_dict(self) -> dict[str, Any]:
        agreement = asdict(self.agreement) if self.agreement else None
        return {"to": self.form, "path": str(self.path), "files": dict(self.files), "check": agreement}


def default_place(name: str, form: str) -> Path:
    """In the working folder: reader.onnx, reader-safetensors, reader-web, reader.md."""
    return Path(name + _ENDINGS[form])


def _to_onnx(source: Source, target: Path) -> Agreement:
    import_onnx()
    _refuse_taken(target, ours=_is_our_onnx)
    with replace_file(target) as beside:
        export_onnx(source.model, beside)
        return compare_onnx(source.model, beside, *source.asked()).require()


def _to_safetensors(source: Source, target: Path) -> Agreement:
    _refuse_taken(target, ours=_is_our_model, folder=True)
    with fill_folder(target, add=True) as beside:
        source.model.save(beside)
        return compare_saved(source.model, beside, *source.asked()).require()


def _to_web(source: Source, target: Path) -> None:
    export_web(source.model, target)


def _to_torch(source: Source, target: Path) -> Agreement:
    model = _classifier(source, "torch")
    if find_spec("torch") is None:
        raise MissingDependencyError("torch", extra="torch", purpose="writing a file for torch")
    from tenfold.torch_engine.export import ask_torch_file, is_torch_file, write_torch_file

    _refuse_taken(target, ours=is_torch_file)

    def ask(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return ask_torch_file(beside, images), model.judge(images)[1]

    with replace_file(target) as beside:
        write_torch_file(model.engine, model.card, beside)
        return _compare(model, ask, *source.asked()).require()


def _to_huggingface(source: Source, target: Path) -> Agreement:
    model = _classifier(source, "huggingface")
    _refuse_taken(target, ours=_is_our_repository, folder=True)
    with fill_folder(target, add=True) as beside:
        write_card(source, beside / "README.md")
        data = str((source.data or {}).get("name", ""))
        write_hugging(model, source.name, data, source.figures, beside)
        return compare_saved(model, beside, *source.asked()).require()


def _classifier(source: Source, form: str) -> Classifier:
    if not isinstance(source.model, Classifier):
        found = f"--to {form} and a line reader"
        raise UsageError(found, expected="a classifier of images", remedy="take onnx, safetensors or web")
    return source.model


def _is_our_repository(folder: Path) -> bool:
    names = {path.name for path in folder.iterdir() if not Claim.is_part(path)}
    return names <= {*HUGGING_FILES, Claim.LOCK}


def _to_card(source: Source, target: Path) -> None:
    _refuse_taken(target, ours=lambda path: CARD_MARK in path.read_text(encoding="utf-8", errors="replace"))
    write_card(source, target)


FORMS: dict[str, Callable[[Source, Path], Agreement | None]] = {
    "onnx": _to_onnx,
    "safetensors": _to_safetensors,
    "web": _to_web,
    "card": _to_card,
    "torch": _to_torch,
    "huggingface": _to_huggingface,
}


def _refuse_taken(target: Path, *, ours: Callable[[Path], bool], folder: bool = False) -> None:
    if target.exists() and (target.is_dir() != folder or not ours(target)):
        found, remedy = f"{target} is there already, and no such export made it", "name another with --out"
        raise UsageError(found, expected="a free name, or what an earlier export to it wrote", remedy=remedy)


def _is_our_onnx(path: Path) -> bool:
    try:
        return bool(import_onnx().load(path).producer_name == "tenfold")
    except Exception:  # whatever protobuf makes of a file that is none of its own
        return False


def _is_our_model(folder: Path) -> bool:
    """Not a run's folder, which holds more."""
    names = {path.name for path in folder.iterdir() if not Claim.is_part(path)}
    return names <= {"model.safetensors", "model.json", Claim.LOCK}


def check_images(shape: tuple[int, ...], count: int = _CHECKED) -> np.ndarray:
    """uint8 (count, *shape), always the same: soft blobs on black, and every tenth pure noise."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((count, *shape), dtype=np.float32)
    soft = gaussian_filter(noise, (2, 2), axes=(1, 2))
    soft /= np.maximum(soft.std(axis=(1, 2), keepdims=True), 1e-6)
    images = np.clip(255 * (soft - 0.5), 0, 255)
    images[::10] = rng.integers(0, 256, images[::10].shape)
    return images.astype(np.uint8)


def check_strips(count: int = 8) -> list[np.ndarray]:
    """uint8 (count, 32, W) each, of several widths: soft blobs on the grey of paper."""
    return [128 - check_images((Strip.HEIGHT, width), count) // 2 for width in _WIDTHS]


def compare_onnx(model: AnyModel, path: Path, images: Images, kind: str) -> Agreement:
    """Runs an ONNX file in ONNX Runtime on what `model` takes. Raises MissingDependencyError."""
    try:
        import onnxruntime
    except ImportError as error:
        purpose = "checking an ONNX file"
        raise MissingDependencyError("onnxruntime", extra="onnx", purpose=purpose) from error
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,), names = session.get_inputs(), [output.name for output in session.get_outputs()]

    def ask(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = dict(zip(names, session.run(None, {given.name: batch}), strict=True))
        none = found.get("none", np.zeros(len(batch), np.float32))
        return (np.exp(found["log_probabilities"]) if len(found) == 1 else found["probabilities"]), none

    return _compare(model, ask, images, kind)


def compare_saved(model: AnyModel, folder: Path, images: Images, kind: str) -> Agreement:
    """Loads what `save` wrote and asks it. Raises ModelError."""
    return _compare(model, _ask(load_model(folder, engine=model.engine.name)), images, kind)


def _ask(model: AnyModel) -> Ask:
    if isinstance(model, Classifier):
        return model.judge
    reader: LineReader = model

    def read(strips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logs = log_softmax(reader.engine.logits(strips) / np.float32(reader.card.temperature))
        return np.exp(logs), np.zeros(len(strips), np.float32)

    return read


def _compare(model: AnyModel, ask: Ask, images: Images, kind: str) -> Agreement:
    most = model.card.most_none if isinstance(model, Classifier) else 1.0
    difference, differing, batches = 0.0, 0, [images] if isinstance(images, np.ndarray) else images
    for batch in batches:
        (probs, none), (found, found_none) = _ask(model)(batch), ask(batch)
        if found.shape != probs.shape:
            raise ModelError(f"the exported file answers {found.shape}", expected=f"{probs.shape}")
        unlike = (found.argmax(axis=-1) != probs.argmax(axis=-1)).reshape(len(batch), -1).any(axis=1)
        differing += int((unlike | ((found_none > most) != (none > most))).sum())
        far = max(np.abs(found - probs).max(initial=0), np.abs(found_none - none).max(initial=0))
        difference = max(difference, float(far))
    return Agreement(sum(map(len, batches)), kind, difference, differing)


def write_card(source: Source, path: Path) -> Path:
    """Writes a card in Markdown (Mitchell et al. 2019): what a model is, learned, is worth, and cannot do;
    returns its path. How to load the model is added to a card that it came with."""
    model, classifies = source.model, isinstance(source.model, Classifier)
    saved = re.sub(r"[`\s]+", " ", shown_path(source.saved)) if source.saved else ""
    members = EnsembleEngine.split(model.engine.weights())
    context = {
        "card": model.card,
        "source": source,
        "saved": saved or (f"{source.name}-safetensors" if classifies else ""),
        "version": __version__,
        "members": len(members),
        "parameters": len(members) * model.network.parameter_count,
        "convolutional": any(layer.spec.kind == "conv" for layer in model.network.layers),
        "mistake": _frequent_mistake(source.figures) if source.figures else (0,),
        "characters": CHARACTERS,
        "height": Strip.HEIGHT,
        "outputs": OUTPUTS,
    }
    kind = "" if classifies else "reader_"
    if told := _HTML.sub("&lt;", source.told.replace(CARD_MARK, "")):
        text = f"{told.rstrip()}\n\n{_render(f'{kind}loading.md.j2', context)}"
    else:
        text = _render("card.md.j2" if classifies else "reader.md.j2", context)
    write_text(path, f"{text.rstrip()}\n\n{CARD_MARK}\n")
    return path


def _frequent_mistake(figures: Mapping[str, Any]) -> tuple[int, str, str]:
    """How often it happened, the right class, and the answer; (0, "", "") without a mistake."""
    names, counts = figures["class_names"], figures["confusion"]
    pairs = permutations(range(len(names)), 2)
    return max(((counts[i][j], names[i], names[j]) for i, j in pairs), default=(0, "", ""))


def _render(template: str, context: Mapping[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenfold.export", "templates"),
        autoescape=False,  # Markdown, in which quotes stand for themselves
        finalize=_without_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": lambda share: f"{100 * share:.2f} %", "cell": _cell}
    return environment.get_template(template).render(context)


def _without_html(value: Any) -> Any:
    """Names and titles are text: a page that shows the Markdown runs none of them."""
    return value.replace("&", "&amp;").replace("<", "&lt;") if isinstance(value, str) else value


def _cell(text: str) -> str:
    """Text that ends neither a table's cell nor its row, and is not a link, picture or code."""
    return re.sub(r"([|\[`])", r"\\\1", " ".join(str(text).split()))
