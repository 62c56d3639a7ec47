"""tenfold trains, explains and ships classifiers of small images, handwritten digits first.

Everything here is imported when it is first used, so that `import tenfold` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tenfold.version import __version__

# name -> the module that defines it
_EXPORTS = {
    "Batch": "tenfold.arrays",
    "Classifier": "tenfold.classifier",
    "CrossValidation": "tenfold.training.folds",
    "DigitClassifier": "tenfold.estimator.classifier",
    "Evaluation": "tenfold.evaluation.evaluate",
    "ImageDataset": "tenfold.arrays",
    "LabelErrors": "tenfold.evaluation.label_errors",
    "LineReader": "tenfold.reader.line_reader",
    "Prediction": "tenfold.arrays",
    "Reading": "tenfold.reader.reading",
    "Recipe": "tenfold.recipes.schema",
    "Robustness": "tenfold.evaluation.robustness",
    "SearchResult": "tenfold.search.result",
    "ServeSettings": "tenfold.serve.settings",
    "TenfoldError": "tenfold.errors",
    "TrainResult": "tenfold.training.loop",
    "change_recipe": "tenfold.recipes.load",
    "check_gradients": "tenfold.numpy_engine.gradcheck",
    "check_own_code": "tenfold.doctor.own_code",
    "compare_folds": "tenfold.training.compare_folds",
    "corrupt": "tenfold.evaluation.corruptions",
    "create_app": "tenfold.serve.app",
    "cross_validate": "tenfold.training.folds",
    "diagnose": "tenfold.doctor.examine",
    "evaluate": "tenfold.evaluation.evaluate",
    "explain_image": "tenfold.explain.explanation",
    "explore_dataset": "tenfold.explore.look",
    "export_onnx": "tenfold.export.onnx_file",
    "export_web": "tenfold.export.web",
    "find_duplicates": "tenfold.explore.duplicates",
    "find_label_errors": "tenfold.evaluation.label_errors",
    "get_recipe": "tenfold.recipes.load",
    "list_recipes": "tenfold.recipes.load",
    "load_dataset": "tenfold.data.load",
    "load_reader": "tenfold.reader.load",
    "measure_robustness": "tenfold.evaluation.robustness",
    "normalize_ink": "tenfold.ink.normalize",
    "preload_engine": "tenfold.engines.preload",
    "read_pictures": "tenfold.reader.many",
    "search_recipe": "tenfold.search.search",
    "split_dataset": "tenfold.data.split",
    "train": "tenfold.training.ensemble",
    "write_comparison": "tenfold.report.compare_page",
    "write_report": "tenfold.report.write",
}

__all__ = ["__version__", *sorted(_EXPORTS)]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'tenfold' has no attribute {name!r}")
    value = getattr(import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
