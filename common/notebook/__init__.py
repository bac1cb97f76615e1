"""What the notebooks in `colab/` share: devices, the user's files, settings, and what is shown."""

from common.notebook.files import dataset as dataset
from common.notebook.files import local_file as local_file
from common.notebook.files import take_away as take_away
from common.notebook.runtime import device_line as device_line
from common.notebook.runtime import missing as missing
from common.notebook.runtime import settings as settings
from common.notebook.runtime import shell as shell
from common.notebook.runtime import sign_in as sign_in
from common.notebook.runtime import smoke as smoke
from common.notebook.show import curves as curves
from common.notebook.show import pictures as pictures
from common.notebook.show import table as table
