"""AAPE (arXiv 2410.23698): prompts aggregated for each image, generated from the image alone.

The order of reading: `corpus`, `bank`, `aggregators`, `generator`, `projection`, `logits`,
`losses`, `objective`, then the tasks.
"""

from common.version import __version__ as __version__
