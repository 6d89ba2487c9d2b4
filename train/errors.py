"""The one error a person can mend."""


class UserError(Exception):
    """Something in the configuration, the files or the machine that the user can mend.

    Its text is one line: what is wrong, where, and what to do. The command prints it and exits with 2.
    """
