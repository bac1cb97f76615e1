"""Types that several modules share."""

from common.data import Dataset, FeatureDataset

AnyDataset = Dataset | FeatureDataset
"""Pictures, or their features."""
