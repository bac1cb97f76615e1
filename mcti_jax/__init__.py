"""MC-TI: one new token per nameless class, learned from a few photos (arXiv 2410.22317).

Letters in shapes: r rows (a class under one setting), k classes, m samples per row and update,
n vectors per class, d text width, p width of CLIP's joint space, s sequence, t templates.
"""

from common.version import __version__ as __version__
