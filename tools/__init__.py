"""What made the bundled files: part of a checkout, not of an installation."""

from common.interrupts import end_quietly_while_importing

end_quietly_while_importing(("tools",))
