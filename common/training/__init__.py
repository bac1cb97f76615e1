"""The training loop, and what a method says to it and hears from it."""

from common.progress import say as say
from common.progress import track as track
from common.training.ledger import TrainingDiverged as TrainingDiverged
from common.training.loop import train as train
from common.training.method import Method as Method
from common.training.method import find_method as find_method
from common.training.types import Evaluation as Evaluation
from common.training.types import RunInputs as RunInputs
from common.training.types import Source as Source
