"""tenfold trains, explains and ships classifiers of small images, handwritten digits first.

Everything here is imported when it is first used, so that `import tenfold` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenfold.version import __version__

if TYPE_CHECKING:  # what type checkers and editors see; the same names stand in _EXPORTS, which a test holds
    from tenfold.arrays import Batch as Batch
    from tenfold.arrays import ImageDataset as ImageDataset
    from tenfold.arrays import Prediction as Prediction
    from tenfold.classifier import Classifier as Classifier
    from tenfold.data.batches import split_dataset as split_dataset
    from tenfold.data.convert import convert_dataset as convert_dataset
    from tenfold.data.load import load_dataset as load_dataset
    from tenfold.doctor.checks_step import check_own_code as check_own_code
    from tenfold.doctor.examine import diagnose as diagnose
    from tenfold.engines.create import preload_engine as preload_engine
    from tenfold.errors import TenfoldError as TenfoldError
    from tenfold.estimator.classifier import DigitClassifier as DigitClassifier
    from tenfold.evaluation.evaluate import Evaluation as Evaluation
    from tenfold.evaluation.evaluate import evaluate as evaluate
    from tenfold.evaluation.label_errors import LabelErrors as LabelErrors
    from tenfold.evaluation.label_errors import find_label_errors as find_label_errors
    from tenfold.evaluation.robustness import Robustness as Robustness
    from tenfold.evaluation.robustness import corrupt as corrupt
    from tenfold.evaluation.robustness import measure_robustness as measure_robustness
    from tenfold.explain.explanation import explain_image as explain_image
    from tenfold.explore.duplicates import find_duplicates as find_duplicates
    from tenfold.explore.look import explore_dataset as explore_dataset
    from tenfold.export.onnx_file import export_onnx as export_onnx
    from tenfold.export.web import export_web as export_web
    from tenfold.forms.fields import FilledForm as FilledForm
    from tenfold.forms.fields import propose_form as propose_form
    from tenfold.forms.read import read_form as read_form
    from tenfold.forms.read import read_forms as read_forms
    from tenfold.forms.template import Form as Form
    from tenfold.forms.template import load_form as load_form
    from tenfold.numpy_engine.gradcheck import check_gradients as check_gradients
    from tenfold.numpy_engine.gradcheck import check_layer as check_layer
    from tenfold.pictures.normalize import normalize_ink as normalize_ink
    from tenfold.reader.line_reader import LineReader as LineReader
    from tenfold.reader.line_reader import load_reader as load_reader
    from tenfold.reader.many import read_many as read_many
    from tenfold.reader.many import read_pictures as read_pictures
    from tenfold.reader.reading import Reading as Reading
    from tenfold.recipes.load import change_recipe as change_recipe
    from tenfold.recipes.load import get_recipe as get_recipe
    from tenfold.recipes.load import list_recipes as list_recipes
    from tenfold.recipes.schema import Recipe as Recipe
    from tenfold.runs.folder import Run as Run
    from tenfold.runs.folder import list_runs as list_runs
    from tenfold.runs.training import train as train
    from tenfold.serve.app import create_app as create_app
    from tenfold.serve.settings import ServeSettings as ServeSettings
    from tenfold.show.pages import write_comparison as write_comparison
    from tenfold.show.report import write_report as write_report
    from tenfold.training.folds import CrossValidation as CrossValidation
    from tenfold.training.folds import compare_folds as compare_folds
    from tenfold.training.folds import cross_validate as cross_validate
    from tenfold.training.loggers import MLflowLogger as MLflowLogger
    from tenfold.training.loggers import TensorBoardLogger as TensorBoardLogger
    from tenfold.training.loop import TrainResult as TrainResult
    from tenfold.training.progress import EpochRecord as EpochRecord
    from tenfold.training.progress import TrainingObserver as TrainingObserver
    from tenfold.training.progress import TrainingPlan as TrainingPlan
    from tenfold.training.search_result import SearchResult as SearchResult
    from tenfold.training.search_study import search_recipe as search_recipe

# name -> the module that defines it
_EXPORTS = {
    "Batch": "tenfold.arrays",
    "Classifier": "tenfold.classifier",
    "CrossValidation": "tenfold.training.folds",
    "DigitClassifier": "tenfold.estimator.classifier",
    "EpochRecord": "tenfold.training.progress",
    "Evaluation": "tenfold.evaluation.evaluate",
    "FilledForm": "tenfold.forms.fields",
    "Form": "tenfold.forms.template",
    "ImageDataset": "tenfold.arrays",
    "LabelErrors": "tenfold.evaluation.label_errors",
    "LineReader": "tenfold.reader.line_reader",
    "MLflowLogger": "tenfold.training.loggers",
    "Prediction": "tenfold.arrays",
    "Reading": "tenfold.reader.reading",
    "Recipe": "tenfold.recipes.schema",
    "Robustness": "tenfold.evaluation.robustness",
    "Run": "tenfold.runs.folder",
    "SearchResult": "tenfold.training.search_result",
    "ServeSettings": "tenfold.serve.settings",
    "TenfoldError": "tenfold.errors",
    "TensorBoardLogger": "tenfold.training.loggers",
    "TrainResult": "tenfold.training.loop",
    "TrainingObserver": "tenfold.training.progress",
    "TrainingPlan": "tenfold.training.progress",
    "change_recipe": "tenfold.recipes.load",
    "check_gradients": "tenfold.numpy_engine.gradcheck",
    "check_layer": "tenfold.numpy_engine.gradcheck",
    "check_own_code": "tenfold.doctor.checks_step",
    "compare_folds": "tenfold.training.folds",
    "convert_dataset": "tenfold.data.convert",
    "corrupt": "tenfold.evaluation.robustness",
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
    "list_runs": "tenfold.runs.folder",
    "load_dataset": "tenfold.data.load",
    "load_form": "tenfold.forms.template",
    "load_reader": "tenfold.reader.line_reader",
    "measure_robustness": "tenfold.evaluation.robustness",
    "normalize_ink": "tenfold.pictures.normalize",
    "preload_engine": "tenfold.engines.create",
    "propose_form": "tenfold.forms.fields",
    "read_form": "tenfold.forms.read",
    "read_forms": "tenfold.forms.read",
    "read_many": "tenfold.reader.many",
    "read_pictures": "tenfold.reader.many",
    "search_recipe": "tenfold.training.search_study",
    "split_dataset": "tenfold.data.batches",
    "train": "tenfold.runs.training",
    "write_comparison": "tenfold.show.pages",
    "write_report": "tenfold.show.report",
}

__all__ = ["__version__", *sorted(_EXPORTS)]

if not TYPE_CHECKING:  # a type checker would take any name for one that this function finds

    def __getattr__(name):
        if name not in _EXPORTS:
            raise AttributeError(f"module 'tenfold' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_EXPORTS[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
