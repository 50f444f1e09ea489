"""The exception whose message is written for the user."""


class InputError(ValueError):
    """Something that the user gave is wrong: the message says what, in which file, and what to do.

    The command line prints it without a traceback and exits with status 2.
    """
