"""The one exception that carries a message for a person."""


class InputError(ValueError):
    """Something that the user gave is wrong: the message says what, in which file, and what to do.

    The command line prints it without a traceback and exits with status 2.
    """
