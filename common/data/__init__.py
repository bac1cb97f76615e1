"""Data sets as strings name them, their splits, and what is derived from their pictures."""

from common.data.dataset import Dataset as Dataset
from common.data.dataset import FeatureDataset as FeatureDataset
from common.data.dataset import OpenedDataset as OpenedDataset
from common.data.few_shot import few_shot as few_shot
from common.data.selection import base_new as base_new
from common.data.sources import open_dataset as open_dataset
from common.data.splits import FeatureSplit as FeatureSplit
from common.data.splits import ImageSplit as ImageSplit
