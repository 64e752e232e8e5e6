"""Result records and their files, without torch; of this room, figures may import it alone."""

from landscape.errors import InputError, quoted, unknown

__all__ = ["InputError", "quoted", "unknown"]
